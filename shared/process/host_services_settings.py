"""
Settings of what functions may ask of their host: the chain, the hosts an oracle may reach, sources of prices.

What is made of them is said in ``services/invoker/host_services``.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from shared.domain.json_path import Steps, parse_path
from shared.process.variables import SecretUrl, seconds, secret_url, setting

_ENTRY = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)
_SOURCE_FIELDS = {"name", "url", "path"}
_SOURCE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_MOST_PORT = 65535
_PLACEHOLDERS = ("{BASE}", "{QUOTE}", "{base}", "{quote}")
_SAMPLE = ("NEO", "USD")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedHost:
    """
    A place that functions may reach, in lower case; ``host`` has no brackets.

    Its address may be a private one only if the operator named the port too: ``names_port``.
    """

    scheme: str
    host: str
    port: int
    names_port: bool

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{shown}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSource:
    """Where a price is found. ``url`` and ``path`` are templates; a URL may hold a key, so it is not shown."""

    name: str
    url: str = field(repr=False)
    path: str = field(repr=False)

    def url_of(self, base: str, quote: str) -> str:
        """Return the URL for a pair of symbols in upper case."""
        return _filled(self.url, base, quote)

    def steps_of(self, base: str, quote: str) -> Steps:
        """Return the path for a pair of symbols in upper case."""
        return parse_path(_filled(self.path, base, quote))

    def allowed(self) -> AllowedHost:
        """Return the one place this source is at."""
        parts = urlsplit(_filled(self.url, *_SAMPLE))
        return _allowed(f"{parts.scheme}://{parts.netloc.lower()}")


def _filled(template: str, base: str, quote: str) -> str:
    for placeholder, symbol in zip(_PLACEHOLDERS, (base, quote, base.lower(), quote.lower()), strict=True):
        template = template.replace(placeholder, symbol)
    return template


def _allowed(entry: str) -> AllowedHost:
    found = _ENTRY.fullmatch(entry)
    if found is None or not 0 < int(found["port"] or 1) <= _MOST_PORT:
        raise ValueError(entry)
    scheme, port = found["scheme"] or "https", found["port"]
    return AllowedHost(
        scheme=scheme,
        host=found["host"].strip("[]"),
        port=int(port) if port is not None else _DEFAULT_PORTS[scheme],
        names_port=port is not None,
    )


def allowed_hosts(value: str) -> tuple[AllowedHost, ...]:
    """Read places with commas between."""
    try:
        return tuple(_allowed(part.strip().lower()) for part in value.split(","))
    except ValueError as error:
        raise ValueError(
            f"expected hosts with commas between, like api.example.com,https://other.example.com:8443; not {error}"
        ) from None


def price_sources(value: str) -> tuple[PriceSource, ...]:
    """Read a JSON list of sources."""
    try:
        given = json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"expected a JSON list; {error}") from None
    if not isinstance(given, list) or not given:
        raise ValueError('expected a JSON list like [{"name": "one", "url": "https://...", "path": "$.price"}]')
    sources = tuple(_source(each) for each in given)
    if len({source.name for source in sources}) < len(sources):
        raise ValueError("expected sources with different names")
    return sources


def _source(given: Any) -> PriceSource:
    if not isinstance(given, dict) or set(given) != _SOURCE_FIELDS:
        raise ValueError("expected name, url and path, and nothing else, in each source")
    if not all(isinstance(each, str) for each in given.values()) or not _SOURCE_NAME.fullmatch(given["name"]):
        raise ValueError("expected texts, and names of 1 to 40 letters, digits, dots, dashes and underscores")
    source = PriceSource(**given)
    try:
        source.allowed()
    except ValueError:
        raise ValueError(f"expected an http or https URL, with no pair in its host, in source {source.name}") from None
    if any(placeholder in urlsplit(source.url).netloc for placeholder in _PLACEHOLDERS):
        raise ValueError(f"expected an http or https URL, with no pair in its host, in source {source.name}")
    source.steps_of(*_SAMPLE)
    return source


@dataclass(frozen=True, slots=True, kw_only=True)
class HostServicesSettings:
    """What Neo functions may ask of their host. Without a setting its service is there and answers ``unavailable``."""

    neo_rpc_url: SecretUrl | None = setting(
        "NEO_RPC_URL",
        secret_url("https", "http"),
        absent="none: `services.blockchain` is unavailable",
        hidden=True,
        doc="JSON-RPC of the Neo N3 node that `services.blockchain` reads.",
    )
    neo_rpc_timeout_s: float = setting(
        "NEO_RPC_TIMEOUT_S",
        seconds(0.1, 60),
        default="10",
        doc="How long that node may take for one answer, in seconds.",
    )
    oracle_hosts: tuple[AllowedHost, ...] | None = setting(
        "ORACLE_HOSTS",
        allowed_hosts,
        absent="none: `services.oracle` and `fetch` are unavailable",
        doc="Hosts that `services.oracle` and `fetch` may reach, with commas between: `host`, `host:port`, or "
        "`http://host:port` for one without TLS. Only where a port is named may it be a private address.",
    )
    price_sources: tuple[PriceSource, ...] | None = setting(
        "PRICE_SOURCES",
        price_sources,
        absent="none: `services.priceFeed` is unavailable",
        hidden=True,
        doc="Where `services.priceFeed` finds prices: a JSON list of `name`, `url` and `path`, see "
        "[services of Neo functions](howto/blockchain.md).",
    )
