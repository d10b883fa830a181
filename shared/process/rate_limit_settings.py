"""
Settings of the rate limits, and of whose word is taken for a caller's address.

Rates are requests a minute; a burst is what may come at once. What is made of the two is said in
``services/api/access/rate_limit.py``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from shared.process.variables import matching, setting, switch, whole

_MINUTE_S = 60
_MOST = 1_000_000


def _are_networks(value: str) -> bool:
    try:
        return all(ip_network(part.strip()) for part in value.split(","))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """How many requests of the Neo dialect one api answers for one caller."""

    enabled: bool = setting(
        "RATE_LIMIT",
        switch,
        default="on",
        doc=(
            "Whether requests of the Neo dialect are limited, and who signs up in the Gateways dialect (ten a minute "
            "from one address). Failed logins are slowed down in any case."
        ),
    )
    key: int = setting(
        "RATE_LIMIT_KEY", whole(1, _MOST), default="1000", doc="Requests a minute of one API key, for each api replica."
    )
    key_burst: int = setting(
        "RATE_LIMIT_KEY_BURST", whole(1, _MOST), default="100", doc="How many of them may come at once."
    )
    address: int = setting(
        "RATE_LIMIT_ADDRESS",
        whole(1, _MOST),
        default="100",
        doc="Requests a minute of one address without a valid key, for each api replica.",
    )
    address_burst: int = setting(
        "RATE_LIMIT_ADDRESS_BURST", whole(1, _MOST), default="20", doc="How many of them may come at once."
    )
    trusted_proxies: str | None = setting(
        "TRUSTED_PROXIES",
        matching(_are_networks, "addresses or networks with commas between, like 127.0.0.1,10.0.0.0/8"),
        absent="none: the address is the connection's",
        doc="Proxies whose `X-Forwarded-For` is believed when a caller's address matters.",
    )

    def conflicts(self) -> Iterator[str]:
        for name, rate, burst in (("KEY", self.key, self.key_burst), ("ADDRESS", self.address, self.address_burst)):
            least = -(-rate // _MINUTE_S)
            if not least <= burst <= rate:
                yield (
                    f"TIDEMILL_RATE_LIMIT_{name}_BURST={burst} does not fit TIDEMILL_RATE_LIMIT_{name}={rate} "
                    f"a minute: expected {least} (what comes in a second) to {rate}"
                )
