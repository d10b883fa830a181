import json
from typing import Any

import pytest

from shared.process.host_services_settings import AllowedHost, HostServicesSettings, allowed_hosts, price_sources
from shared.process.variables import SettingsError, effective, load

SOURCE = {"name": "one", "url": "https://api.example.com/{BASE}/{quote}?key=hunter2", "path": "$.{base}['{QUOTE}']"}


@pytest.mark.parametrize(
    ("entry", "scheme", "host", "port", "names_port"),
    [
        ("api.example.com", "https", "api.example.com", 443, False),
        (" API.example.com ", "https", "api.example.com", 443, False),
        ("api.example.com:8443", "https", "api.example.com", 8443, True),
        ("https://api.example.com", "https", "api.example.com", 443, False),
        ("http://127.0.0.1:9000", "http", "127.0.0.1", 9000, True),
        ("http://localhost", "http", "localhost", 80, False),
        ("[::1]:9000", "https", "::1", 9000, True),
    ],
)
def test_a_host_is_read_with_its_scheme_and_port(
    entry: str, scheme: str, host: str, port: int, names_port: bool
) -> None:
    assert allowed_hosts(entry) == (AllowedHost(scheme=scheme, host=host, port=port, names_port=names_port),)


def test_several_hosts_have_commas_between() -> None:
    assert [str(each) for each in allowed_hosts("a.example, http://[::1]:80,b.example:444")] == [
        *("https://a.example:443", "http://[::1]:80", "https://b.example:444")
    ]


@pytest.mark.parametrize(
    "value",
    ["", ",", "a,,b", "*.example.com", "ftp://a", "a/b", "https://a/", "a:0", "a:65536", "a:x", "u:p@a", "a b", "-a",
     "::1", "é.example", "a:"],
)  # fmt: skip
def test_what_is_no_list_of_hosts_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="expected hosts"):
        allowed_hosts(value)


def test_a_source_makes_a_url_and_a_path_of_a_pair() -> None:
    (source,) = price_sources(json.dumps([SOURCE]))

    assert source.url_of("NEO", "USD") == "https://api.example.com/NEO/usd?key=hunter2"
    assert source.steps_of("NEO", "USD") == ("neo", "USD")
    assert str(source.allowed()) == "https://api.example.com:443"


@pytest.mark.parametrize(
    "value",
    [
        "", "nonsense", "{}", "[]", "[5]", [{}], [{**SOURCE, "more": 1}], [{**SOURCE, "name": ""}], [SOURCE, SOURCE],
        [{**SOURCE, "name": 5}], [{**SOURCE, "url": "ftp://a/"}], [{**SOURCE, "url": "https://"}],
        [{**SOURCE, "url": "https://{base}.example.com/"}], [{**SOURCE, "url": "https://u:p@example.com/"}],
        [{**SOURCE, "path": "price"}], [{**SOURCE, "path": ""}],
    ],
)  # fmt: skip
def test_what_is_no_list_of_sources_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        price_sources(value if isinstance(value, str) else json.dumps(value))


def test_keys_in_urls_are_not_shown() -> None:
    environ = {
        "TIDEMILL_PRICE_SOURCES": json.dumps([SOURCE]),
        "TIDEMILL_NEO_RPC_URL": "https://me:hunter2@node.example.com",
    }
    settings = load(HostServicesSettings, environ)

    assert "hunter2" not in repr(settings) + str(effective(settings))
    with pytest.raises(SettingsError) as caught:
        load(HostServicesSettings, {"TIDEMILL_PRICE_SOURCES": "hunter2", "TIDEMILL_NEO_RPC_URL": "ftp://hunter2"})
    assert "hunter2" not in str(caught.value)
