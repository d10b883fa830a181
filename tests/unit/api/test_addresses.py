"""Whose word is taken for where a request came from."""

import pytest

from services.api.access.addresses import Addresses, neighbourhood

PROXIES = "10.0.0.0/8, 127.0.0.1"


def test_nobody_is_believed_unless_the_operator_says_so() -> None:
    assert Addresses().of("198.51.100.7", ["203.0.113.1"]) == "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", ["203.0.113.1"], "198.51.100.7"),
        ("10.1.2.3", ["203.0.113.1"], "203.0.113.1"),
        ("10.1.2.3", ["192.0.2.66, 203.0.113.1"], "203.0.113.1"),
        ("10.1.2.3", ["203.0.113.1, 10.9.9.9"], "203.0.113.1"),
        ("10.1.2.3", ["203.0.113.1", "10.9.9.9, 127.0.0.1"], "203.0.113.1"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["forged, 10.9.9.9"], "10.9.9.9"),
        ("10.1.2.3", ["10.4.4.4"], "10.4.4.4"),
        ("::ffff:10.1.2.3", ["203.0.113.1"], "203.0.113.1"),
    ],
)
def test_behind_trusted_proxies_it_is_the_last_address_that_is_none_of_them(
    peer: str, forwarded: list[str], address: str
) -> None:
    assert Addresses(PROXIES).of(peer, forwarded) == address


def test_the_addresses_of_one_ipv6_host_are_one() -> None:
    addresses = Addresses()

    assert addresses.of("2001:db8::1") == addresses.of("2001:db8::ffff:1") == "2001:db8::/64"
    assert addresses.of("2001:db8:0:1::1") != addresses.of("2001:db8::1")
    assert addresses.of("::ffff:192.0.2.1") == "192.0.2.1"


def test_an_address_that_is_told_to_others_is_the_address_itself() -> None:
    addresses = Addresses(PROXIES)

    assert addresses.exact("2001:db8::1") == "2001:db8::1"
    assert addresses.exact("10.1.2.3", ["2001:db8::1"]) == "2001:db8::1"
    assert addresses.exact("::ffff:192.0.2.1") == "192.0.2.1"
    assert addresses.exact(None) == "unknown"
    assert neighbourhood("2001:db8::1") == addresses.of("2001:db8::1")
    assert [neighbourhood(each) for each in ("192.0.2.1", "unknown")] == ["192.0.2.1", "unknown"]


def test_a_connection_with_no_address_has_a_name_too() -> None:
    assert Addresses().of(None) == Addresses().of("") == "unknown"
