import asyncio
from collections.abc import Iterator

import pytest

from services.invoker.host_services.network import Resolver, is_public


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.1", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
        "255.255.255.255", "203.0.113.7", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:808:808::", "2001::1",
        "2001:db8::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00::1", "ff02::1", "100::1", "4000::1",
    ],
)  # fmt: skip
def test_addresses_that_may_be_our_own(address: str) -> None:
    assert not is_public(address)


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver()
    yield made
    made.close()


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.1", "127.0.0.1")])
async def test_an_address_is_its_own_whatever_way_it_is_written(resolver: Resolver, host: str, address: str) -> None:
    assert await resolver.addresses(host, 80) == [address]


async def test_a_name_with_no_address_is_said_so(resolver: Resolver) -> None:
    with pytest.raises(OSError, match=r"."):
        await asyncio.wait_for(resolver.addresses("no-such-host.invalid", 80), 30)
