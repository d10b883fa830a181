"""What is a package and what is refused whole, from honest archives to ones made to mislead."""

import io
import os
import stat
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidPackageError
from shared.packages.package import PackageLimits, validate_zip
from tests.unit.packages.archives import Part, assemble, link, zip_of, zip_with

INDEX = Part(name=b"index.js", content=b"exports.handler = async () => 1\n")
SMALL = PackageLimits(compressed_bytes=100_000, inflated_bytes=1_000_000, nodes=50)


def refusal(content: bytes, limits: PackageLimits = SMALL) -> str:
    with pytest.raises(InvalidPackageError) as caught:
        validate_zip(content, limits)
    return caught.value.message


def test_text_and_binary_files_are_both_kept() -> None:
    info = validate_zip(zip_of({"index.js": b"1", "logo.png": b"\x89PNG\0\xff", "lib/addon.node": b"\x7fELF\0"}))

    assert (info.files, info.links, info.inflated_bytes) == (3, 0, 12)


@pytest.mark.parametrize(
    "content", [b"", b"not a zip", b"PK\x03\x04", b"PK\x05\x06", b"\0" * 70_000, b"PK\x05\x06" * 9_000]
)
def test_what_is_not_a_zip_is_refused(content: bytes) -> None:
    assert "not a zip archive" in refusal(content)


@pytest.mark.parametrize(
    "content", [zip_of({}), zip_of({"lib/": b""}), zip_with(link("a", "b"))], ids=["empty", "folders", "links"]
)
def test_a_package_without_a_file_is_refused(content: bytes) -> None:
    assert "holds no file" in refusal(content)


@given(st.integers(min_value=0))
def test_an_archive_cut_anywhere_is_refused(cut: int) -> None:
    content = zip_of({"index.js": b"exports.handler = 1", "a/b.js": b"x" * 100})

    refusal(content[: cut % len(content)])


@given(st.integers(min_value=0), st.integers(0, 255))
def test_an_archive_with_one_byte_changed_is_judged_without_any_other_error(at: int, value: int) -> None:
    content = bytearray(zip_of({"index.js": b"exports.handler = 1", "a/b.js": b"x" * 100}))
    content[at % len(content)] = value

    with suppress(InvalidPackageError):
        validate_zip(bytes(content), SMALL)


@given(st.binary(max_size=200))
def test_any_bytes_after_a_zip_signature_are_judged_without_any_other_error(noise: bytes) -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, len(noise), 0)

    for content in (noise, b"PK\x03\x04" + noise, b"PK\x03\x04" + noise + end, noise + b"PK\x01\x02" + noise + end):
        with suppress(InvalidPackageError):
            validate_zip(content, SMALL)


def test_bytes_before_the_first_entry_are_refused() -> None:
    honest = zip_of({"index.js": b"1"})

    assert "central directory is not where it says" in refusal(b"#!/bin/sh\n" + honest)
    assert "bytes before its first entry" in refusal(assemble([INDEX], prefix=b"#!/bin/sh\n"))


def test_bytes_after_the_end_are_refused_but_a_comment_is_not() -> None:
    assert "not a zip archive" in refusal(zip_of({"index.js": b"1"}) + b"junk")
    assert validate_zip(assemble([INDEX], comment=b"made by PK\x05\x06 hand")).files == 1


def test_an_encrypted_entry_is_refused() -> None:
    assert "is encrypted" in refusal(zip_with(Part(name=b"index.js", content=b"x" * 20, flags=1)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 93])
def test_a_method_other_than_deflate_is_refused(method: int) -> None:
    assert "method other than deflate" in refusal(zip_with(Part(name=b"index.js", content=b"x", method=method)))


def test_a_wrong_checksum_is_refused() -> None:
    assert "fails its checksum" in refusal(zip_with(Part(name=b"index.js", content=b"x", crc=1)))


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_device_pipe_or_socket_is_refused(kind: int) -> None:
    assert "device" in refusal(zip_with(INDEX, Part(name=b"null", mode=kind | 0o666)))


def test_modes_of_archives_not_made_on_unix_are_not_believed() -> None:
    assert validate_zip(zip_with(Part(name=b"index.js", content=b"1", mode=stat.S_IFIFO, system=0))).files == 1


@pytest.mark.parametrize(
    "names",
    [(b"a.js", b"a.js"), (b"a.js", b"./a.js"), ("é.js".encode(), "e\u0301.js".encode())],
    ids=["same", "dot", "unicode"],
)
def test_two_entries_of_the_same_normal_form_are_refused(names: tuple[bytes, bytes]) -> None:
    assert "twice" in refusal(zip_with(*(Part(name=name, content=b"1") for name in names)))


def test_a_file_that_is_also_a_folder_is_refused() -> None:
    assert "folder and something else" in refusal(zip_of({"a": b"1", "a/b.js": b"1"}))
    assert "folder and something else" in refusal(zip_of({"a": b"1", "a/": b""}))


def test_nothing_may_lie_below_a_link() -> None:
    assert "folder and something else" in refusal(zip_with(link("lib", "."), Part(name=b"lib/x.js", content=b"1")))


def test_names_that_differ_in_case_are_two_files() -> None:
    assert validate_zip(zip_of({"README.md": b"1", "readme.md": b"2"})).files == 2


@pytest.mark.parametrize("name", ["../x.js", "/etc/x.js", "C:/x.js", "a\\..\\b.js", "a//b.js"])
def test_an_unsafe_path_refuses_the_whole_package(name: str) -> None:
    assert "package entry" in refusal(zip_with(INDEX, Part(name=name.encode(), content=b"1")))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("node_modules/.bin/tsc", "../typescript/bin/tsc"),
        ("node_modules/@me/lib", "../../packages/lib"),
        ("a", "missing"),
        ("a/b/c", "../../index.js"),
        ("here", "."),
    ],
)
def test_a_link_that_stays_inside_is_kept(path: str, target: str) -> None:
    assert validate_zip(zip_with(INDEX, link(path, target))).links == 1


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../x", "lib/../../x", "missing/../../x", "./.."])
def test_a_link_that_leads_out_is_refused(target: str) -> None:
    assert "out of the package" in refusal(zip_with(INDEX, link("a", target)))


def test_a_link_that_leads_out_by_way_of_another_is_refused() -> None:
    root = link("deep/down/root", "../..")

    assert validate_zip(zip_with(INDEX, root, link("fine", "deep/down/root/index.js"))).links == 2
    assert "out of the package" in refusal(zip_with(INDEX, root, link("bad", "deep/down/root/../etc/passwd")))


def test_links_in_a_circle_are_refused() -> None:
    assert "circle" in refusal(zip_with(INDEX, link("a", "b"), link("b", "a")))


@pytest.mark.parametrize("target", [b"", b"a\0b", b"\xff\xfe", b"a" * 1025])
def test_a_link_to_what_is_no_path_is_refused(target: bytes) -> None:
    entry = Part(name=b"a", content=target, mode=stat.S_IFLNK | 0o777)

    assert "link" in refusal(zip_with(INDEX, entry))


def test_links_that_take_very_long_to_follow_are_refused() -> None:
    links = [link(f"l{number}", "./" * 400 + "x") for number in range(2_000)]

    assert "too many to follow" in refusal(zip_with(INDEX, *links), PackageLimits())


def test_a_long_chain_of_links_is_refused() -> None:
    links = [link(f"l{number}", f"l{number + 1}") for number in range(45)]

    assert "circle" in refusal(zip_with(INDEX, *links))


def test_a_body_over_its_limit_is_refused() -> None:
    message = refusal(zip_of({"x": b"x" * 100_001}, method=zipfile.ZIP_STORED))

    assert "at most 100000 are allowed" in message


def test_the_declared_sizes_are_added_up_before_anything_is_inflated() -> None:
    bomb = zip_with(*(Part(name=b"%d" % number, content=b"0" * 600_000).deflated() for number in range(2)))

    assert "inflates to 1200000 bytes; at most 1000000" in refusal(bomb)


def test_a_bomb_that_declares_less_is_stopped_at_the_first_byte_too_many() -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    compressed = b"".join(stream.compress(bytes(1 << 20)) for _ in range(200)) + stream.flush()
    bomb = zip_with(Part(name=b"x", content=compressed, method=8, declared_size=1000, crc=0))

    tracemalloc.start()
    message = refusal(bomb, PackageLimits())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "not of the size it declares" in message
    assert peak < 4 << 20


def test_a_large_file_is_judged_in_constant_memory() -> None:
    content = zip_with(Part(name=b"x", content=bytes(100 << 20)).deflated())

    tracemalloc.start()
    info = validate_zip(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert info.inflated_bytes == 100 << 20
    assert peak < 4 << 20


def test_an_entry_that_inflates_to_less_than_it_declares_is_refused() -> None:
    part = Part(name=b"x", content=b"short").deflated()

    assert "not of the size" in refusal(zip_with(replace(part, declared_size=50)))


@pytest.mark.parametrize("change", [lambda data: data + b"more", lambda data: data[:-3], lambda data: b"\xff" + data])
def test_compressed_data_that_ends_early_or_late_is_refused(change: Callable[[bytes], bytes]) -> None:
    part = Part(name=b"x", content=os.urandom(1000)).deflated()

    assert "is damaged" in refusal(zip_with(replace(part, content=change(part.content))))


def test_a_stored_entry_whose_two_sizes_differ_is_refused() -> None:
    assert "not of the size" in refusal(zip_with(Part(name=b"x", content=b"12345", declared_size=4)))


def test_overlapping_entries_are_refused() -> None:
    inner = Part(name=b"a", content=b"1" * 50)
    second = Part(name=b"b", content=b"", offset=10)

    assert "overlaps" in refusal(zip_with(inner, second))
    assert "overlaps" in refusal(zip_with(inner, replace(inner, offset=0)))


def test_an_entry_that_reaches_into_the_directory_is_refused() -> None:
    assert "cut short" in refusal(zip_with(Part(name=b"a", content=b"1", declared_compressed=60, declared_size=60)))


def test_a_nested_zip_is_a_file_like_any_other() -> None:
    inner = zip_of({"bomb": bytes(10 << 20)})

    assert validate_zip(zip_of({"index.js": b"1", "inner.zip": inner}), SMALL).inflated_bytes == 1 + len(inner)


def test_two_names_for_one_entry_are_refused() -> None:
    assert "two ways" in refusal(zip_with(Part(name=b"safe.js", local_name=b"evil.js", content=b"1")))
    assert "two ways" in refusal(zip_with(Part(name=b"a", local_method=8, content=b"1")))


def test_more_files_and_folders_than_allowed_are_refused() -> None:
    assert "51 entries; at most 50" in refusal(zip_of({f"{number}": b"" for number in range(51)}))
    assert "more than 50 files and folders" in refusal(zip_of({"a/" * 51 + "x": b"1"}))


def test_a_lying_count_of_entries_is_refused() -> None:
    content = bytearray(zip_of({"a": b"1", "b": b"1"}))
    content[-14:-10] = struct.pack("<2H", 1, 1)

    assert "holds more than it says" in refusal(bytes(content))


def test_a_split_archive_is_refused() -> None:
    content = bytearray(zip_of({"a": b"1"}))
    content[-18:-16] = struct.pack("<H", 3)

    assert "split" in refusal(bytes(content))


class _Unseekable(io.RawIOBase):
    """A pipe, to a writer of zips."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        taken = bytes(memoryview(content))  # type: ignore[arg-type] # any buffer
        self.written += taken
        return len(taken)


def test_a_streamed_archive_with_data_descriptors_is_read() -> None:
    pipe = _Unseekable()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.js", b"x" * 1000)
        archive.writestr("a/b.js", b"")

    assert struct.unpack_from("<H", pipe.written, 6)[0] & 8
    assert validate_zip(pipe.written).inflated_bytes == 1000


def test_an_archive_with_zip64_records_is_read() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a", "w", force_zip64=True) as file,
    ):
        file.write(b"x" * 1000)
    assert validate_zip(buffer.getvalue()).inflated_bytes == 1000

    wide = struct.pack("<2H2Q", 1, 16, 5, 5)
    part = Part(name=b"a", content=b"12345", extra=wide, declared_size=0xFFFFFFFF, declared_compressed=0xFFFFFFFF)
    assert validate_zip(_with_wide_end(zip_with(part))).inflated_bytes == 5
    assert "zip64" in refusal(zip_with(replace(part, extra=b"")))


def test_two_end_records_that_disagree_are_refused() -> None:
    assert "disagree" in refusal(_with_wide_end(zip_with(INDEX), count=2))


def _with_wide_end(content: bytes, *, count: int = 1) -> bytes:
    """Put a zip64 end record and its locator before the end record."""
    end = len(content) - 22
    _, _, _, _, _, size, offset, _ = struct.unpack_from("<4s4H2LH", content, end)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    return content[:end] + wide + struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1) + content[end:]


def test_names_without_a_utf8_flag_are_read_as_utf8_or_the_code_page_of_zip() -> None:
    assert validate_zip(zip_with(Part(name="bücher.js".encode(), content=b"1"))).files == 1
    assert validate_zip(zip_with(Part(name=b"b\x81cher.js", content=b"1"))).files == 1
    assert "UTF-8" in refusal(zip_with(Part(name=b"b\x81cher.js", content=b"1", flags=0x800)))
