"""Packages on disk, and packages made by us."""

import io
import os
import stat
import unicodedata
import zipfile
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidPackageError
from shared.packages.package import build_package, holds_program, unpack, validate_zip
from shared.packages.paths import normal_form
from tests.unit.packages.archives import Part, link, zip_of, zip_with


def test_files_are_readable_by_all_writable_by_none_and_executable_where_they_were(tmp_path: Path) -> None:
    content = zip_with(
        Part(name=b"bin/run", content=b"#!/bin/sh\n", mode=stat.S_IFREG | 0o700),
        Part(name=b"index.js", content=b"1", mode=stat.S_IFREG | 0o600),
        Part(name=b"uploads/", mode=stat.S_IFDIR | 0o700),
        Part(name=b"setuid", content=b"1", mode=stat.S_IFREG | 0o6755),
    )
    mask = os.umask(0o077)
    try:
        unpack(content, tmp_path / "task")
    finally:
        os.umask(mask)

    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {
        "task": 0o755,
        "task/bin": 0o755,
        "task/bin/run": 0o555,
        "task/index.js": 0o444,
        "task/setuid": 0o555,
        "task/uploads": 0o755,
    }


def test_links_are_made_as_they_were(tmp_path: Path) -> None:
    content = zip_with(
        link("node_modules/.bin/tool", "../tool/cli.js"),
        link("node_modules/@me/lib", "../../packages/lib"),
        Part(name=b"node_modules/tool/cli.js", content=b"tool"),
        Part(name=b"packages/lib/index.js", content=b"lib"),
    )

    info = unpack(content, tmp_path / "task")

    assert (info.files, info.links) == (2, 2)
    assert (tmp_path / "task/node_modules/.bin/tool").readlink() == Path("../tool/cli.js")
    assert (tmp_path / "task/node_modules/@me/lib/index.js").read_bytes() == b"lib"


@pytest.mark.parametrize("name", ["../escaped.js", "/tmp/escaped.js", "a/../../escaped.js"])
def test_an_unsafe_package_writes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidPackageError):
        unpack(zip_of({"index.js": b"1", name: b"1"}), tmp_path / "task")

    assert list(tmp_path.iterdir()) == []


def test_a_package_with_a_link_that_leads_out_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidPackageError):
        unpack(zip_with(Part(name=b"index.js", content=b"1"), link("out", "..")), tmp_path / "task")

    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        unpack(zip_of({"index.js": b"1"}), tmp_path)

    assert list(tmp_path.iterdir()) == []


SEGMENTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\"), min_size=1, max_size=8
).filter(lambda segment: segment not in {".", ".."} and unicodedata.is_normalized("NFC", segment))
PATHS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join).filter(lambda path: path[1:2] != ":")
FILES = st.dictionaries(PATHS, st.binary(max_size=300), min_size=1, max_size=6).filter(
    lambda files: not any(other.startswith(f"{path}/") for path in files for other in files)
)


@given(FILES)
def test_what_is_packed_comes_out_again(files: dict[str, bytes]) -> None:
    content = build_package(files)
    with TemporaryDirectory() as directory:
        task = Path(directory, "task")
        info = unpack(content, task)
        found = {path.relative_to(task).as_posix(): path.read_bytes() for path in task.rglob("*") if path.is_file()}

    assert files == found
    assert len(files) == info.files == validate_zip(content).files


@given(FILES, st.randoms())
def test_the_same_files_in_any_order_give_the_same_bytes(files: dict[str, bytes], random: Random) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)

    assert build_package(files) == build_package(dict(shuffled))


def test_the_program_of_a_package_can_be_run_whatever_the_archive_says(tmp_path: Path) -> None:
    content = zip_with(
        Part(name=b"bootstrap", content=b"#!/bin/sh\n", mode=0),
        Part(name=b"bin/bootstrap", content=b"#!/bin/sh\n", mode=stat.S_IFREG | 0o644),
    )
    unpack(content, tmp_path / "task")

    assert stat.S_IMODE((tmp_path / "task/bootstrap").stat().st_mode) == 0o555
    assert stat.S_IMODE((tmp_path / "task/bin/bootstrap").stat().st_mode) == 0o444


def test_a_program_is_a_file_or_a_link_at_the_root_of_its_package() -> None:
    linked = zip_with(Part(name=b"bin/app", content=b"1"), link("bootstrap", "bin/app"))

    assert holds_program(zip_of({"bootstrap": b"1", "other": b"2"}))
    assert holds_program(linked)
    assert not holds_program(zip_of({"bin/bootstrap": b"1"}))
    assert not holds_program(zip_of({"bootstrap/run": b"1", "Bootstrap": b"2"}))


def test_a_built_package_is_read_by_other_readers_and_has_fixed_times_and_modes() -> None:
    content = build_package({"index.js": b"x" * 500, "a/ü.js": b""})

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["a/ü.js", "index.js"]
    assert {(1980, 1, 1, 0, 0, 0)} == {entry.date_time for entry in entries}
    assert {0o100644} == {entry.external_attr >> 16 for entry in entries}


@pytest.mark.parametrize("files", [{"../x": b""}, {"a": b"", "./a": b""}, {".": b""}, {"\ud800": b""}])
def test_a_package_is_not_built_of_unsafe_or_equal_paths(files: dict[str, bytes]) -> None:
    with pytest.raises(InvalidPackageError):
        build_package(files)


def test_the_normal_form_decides_what_is_equal_when_building() -> None:
    with pytest.raises(InvalidPackageError, match="twice"):
        build_package({"é": b"", "e\u0301": b""})
    assert normal_form("é") == normal_form("e\u0301")
