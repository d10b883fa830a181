import struct

import pytest

from services.invoker.sandbox.seccomp import DENIED, INSPECTED, InternetSockets, UnknownMachineError, program

ALLOW, KILL, EPERM, ENOSYS, NO_FAMILY = 0x7FFF0000, 0x80000000, 0x50001, 0x50026, 0x50061
ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def run(machine: str, number: int, *arguments: int, arch: int | None = None, internet: str = "all") -> int:
    """Interpret the program as the kernel would."""
    code = program(machine, internet=InternetSockets(internet))
    data = struct.pack(
        "<IIQ6Q", number, ARCHES[machine] if arch is None else arch, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6]
    )
    accumulator, at = 0, 0
    while True:
        operation, yes, no, k = struct.unpack_from("<HBBI", code, at * 8)
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif operation == 0x06:
            return int(k)
        elif operation == 0x54:
            accumulator &= k
        else:
            taken = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[operation]
            at += yes if taken else no


@pytest.mark.parametrize("machine", ARCHES)
def test_every_denied_call_answers_that_it_is_not_permitted(machine: str) -> None:
    column = list(ARCHES).index(machine)
    for name, numbers in DENIED.items():
        if numbers[column] is not None:
            assert run(machine, numbers[column]) == EPERM, name  # type: ignore[arg-type]


@pytest.mark.parametrize("machine", ARCHES)
def test_common_calls_are_allowed(machine: str) -> None:
    denied = {numbers[list(ARCHES).index(machine)] for numbers in (*DENIED.values(), *INSPECTED.values())}
    allowed = set(range(470)) - denied

    assert {ALLOW} == {run(machine, number) for number in allowed}


@pytest.mark.parametrize("machine", ARCHES)
def test_another_architecture_is_killed(machine: str) -> None:
    assert run(machine, 0, arch=0x40000003) == KILL


def test_the_x32_calls_do_not_exist() -> None:
    assert run("x86_64", 0x40000000) == ENOSYS


@pytest.mark.parametrize("machine", ARCHES)
def test_threads_may_be_made_and_namespaces_may_not(machine: str) -> None:
    clone, clone3 = INSPECTED["clone"][list(ARCHES).index(machine)], INSPECTED["clone3"][0]

    assert run(machine, clone, 0x3D0F00) == ALLOW
    assert run(machine, clone3) == ENOSYS
    for bit in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(machine, clone, 17 | bit) == EPERM


@pytest.mark.parametrize("machine", ARCHES)
def test_only_known_socket_families_exist(machine: str) -> None:
    number = INSPECTED["socket"][list(ARCHES).index(machine)]

    assert {1, 2, 10, 16} == {family for family in range(64) if run(machine, number, family) == ALLOW}
    assert {1, 16} == {family for family in range(64) if run(machine, number, family, internet="none") == ALLOW}
    assert run(machine, number, 17) == NO_FAMILY


@pytest.mark.parametrize("machine", ARCHES)
def test_streams_are_plain_tcp_and_nothing_else(machine: str) -> None:
    column = list(ARCHES).index(machine)
    number = INSPECTED["socket"][column]

    def answer(*arguments: int) -> int:
        return run(machine, number, *arguments, internet="streams")

    close_on_exec, non_blocking = 0o2000000, 0o4000
    assert {1, 2, 16} == {family for family in range(64) if answer(family, 1) == ALLOW}
    assert answer(2, 1 | close_on_exec | non_blocking, 6) == ALLOW
    assert {1} == {kind for kind in range(11) if answer(2, kind) == ALLOW}
    assert {0, 6} == {protocol for protocol in range(512) if answer(2, 1, protocol) == ALLOW}
    assert answer(1, 2) == ALLOW
    for numbers, flags_at in (((44, 206), 3), ((46, 211), 2), ((307, 269), 3)):
        flags = [0] * flags_at + [0x20000000]
        assert run(machine, numbers[column], *flags, internet="streams") == EPERM
        assert run(machine, numbers[column], 7, 7, internet="streams") == ALLOW
        assert run(machine, numbers[column], *flags) == ALLOW


@pytest.mark.parametrize("machine", ARCHES)
def test_nothing_is_typed_into_a_terminal(machine: str) -> None:
    number = INSPECTED["ioctl"][list(ARCHES).index(machine)]

    assert run(machine, number, 0, 0x5412) == EPERM
    assert run(machine, number, 0, 0x541C) == EPERM
    assert run(machine, number, 0, 0x5401) == ALLOW


def test_an_unknown_machine_is_named() -> None:
    with pytest.raises(UnknownMachineError, match="riscv64"):
        program("riscv64")
