"""Where the api listens."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from services.api.listen import listen


def close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


@pytest.fixture
def has_ipv6() -> Iterator[bool]:
    try:
        with closing(socket.socket(socket.AF_INET6)) as probe:
            probe.bind(("::1", 0))
    except OSError:
        yield False
    else:
        yield True


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_loopback_is_answered_in_both_families_on_one_port(host: str, has_ipv6: bool) -> None:
    sockets = listen(host, 0)
    try:
        families = {each.family for each in sockets}
        ports = {each.getsockname()[1] for each in sockets}
    finally:
        close(sockets)

    assert families == {socket.AF_INET, *([socket.AF_INET6] if has_ipv6 else [])}
    assert len(ports) == 1


def test_a_taken_port_is_refused() -> None:
    sockets = listen("127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", sockets[0].getsockname()[1])
    finally:
        close(sockets)


def test_a_port_taken_in_one_family_only_is_refused_too(has_ipv6: bool) -> None:
    if not has_ipv6:
        return
    with closing(socket.socket(socket.AF_INET6)) as other:
        other.bind(("::1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", other.getsockname()[1])


def test_an_address_of_somebody_else_is_refused() -> None:
    with pytest.raises(OSError, match="assign"):
        listen("192.0.2.1", 0)
