"""How a package's own program is started where the sandbox has no root of its own."""

import platform
import struct
import sys
from pathlib import Path

import pytest

from services.invoker.sandbox.driver import RootFilesystem
from services.invoker.sandbox.elf import loader_of
from services.invoker.sandbox.program import launch_line, why_not_executable

MACHINES = {"x86_64": 62, "aarch64": 183}


@pytest.fixture
def root(tmp_path: Path) -> RootFilesystem:
    for tool in ("bin/bash", "usr/bin/bash"):
        path = tmp_path / "root" / tool
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return RootFilesystem(
        runtime="provided", path=tmp_path / "root", loader="/lib/ld.so", library_directory="/lib", command=(), trial=()
    )


def program(directory: Path, content: bytes) -> Path:
    path = directory / "bootstrap"
    path.write_bytes(content)
    return path


def elf(machine: int, loader: str = "") -> bytes:
    """Return the head of a program, with the name of its loader if it is to have one."""
    name = loader.encode() + b"\0"
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    kind = 3 if loader else 1
    return head + struct.pack("<IIQQQQQQ", kind, 4, 120, 0, 0, len(name), len(name), 1) + name


THROUGH_LOADER = ["/shown/lib/ld.so", "--library-path", "/shown/lib", "--argv0"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"#!/bin/bash\necho", [*THROUGH_LOADER, *["/shown/bin/bash"] * 2, "/task/bootstrap"]),
        (b"#! /bin/bash -eu\n", [*THROUGH_LOADER, *["/shown/bin/bash"] * 2, "-eu", "/task/bootstrap"]),
        (b"#!/usr/bin/env bash\n", [*THROUGH_LOADER, *["/shown/usr/bin/bash"] * 2, "/task/bootstrap"]),
        (b"#!/usr/bin/env\n", ["/task/bootstrap"]),
        (b"#!/usr/bin/absent\n", ["/task/bootstrap"]),
        (b"#!\n", ["/task/bootstrap"]),
        (elf(62), ["/task/bootstrap"]),
        (
            elf(62, "/lib64/ld.so"),
            [
                *("/shown/lib/ld.so", "--library-path", "/shown/lib:/task:/task/lib"),
                *("--argv0", "/task/bootstrap", "/task/bootstrap"),
            ],
        ),
    ],
    ids=["script", "with options", "by env", "env alone", "unknown shell", "no shell", "static", "dynamic"],
)
def test_a_program_is_started_as_what_it_is(
    tmp_path: Path, root: RootFilesystem, content: bytes, line: list[str]
) -> None:
    assert launch_line(program(tmp_path, content), "/task", "/shown", root) == line


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"#!/bin/sh\n", ""),
        (elf(MACHINES[platform.machine()]), ""),
        (elf(8), "exec format error"),
        (b"\x7fELF", "exec format error"),
        (b"echo", "exec format error"),
        (b"", "exec format error"),
    ],
    ids=["script", "of this machine", "of another", "cut short", "text", "empty"],
)
def test_what_the_kernel_would_not_start_is_told_in_its_words(tmp_path: Path, content: bytes, reason: str) -> None:
    assert why_not_executable(program(tmp_path, content)) == reason


def test_a_program_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    assert why_not_executable(tmp_path / "bootstrap") == "no such file or directory"
    (tmp_path / "bootstrap").mkdir()
    assert why_not_executable(tmp_path / "bootstrap") == "no such file or directory"


def test_the_loader_of_a_real_program_is_found(tmp_path: Path) -> None:
    loader = loader_of(Path(sys.executable).resolve())

    assert loader is not None
    assert loader.exists()
    assert loader_of(program(tmp_path, b"\x7fELF\x02 cut short")) is None
