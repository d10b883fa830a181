"""What of an upload is kept as text, and how the files of a package are read and changed one by one."""

import io
import stat
import tracemalloc
import zipfile

import pytest

from shared.domain.errors import InvalidPackageError, InvalidRequestError, NameTakenError, NotFoundError
from shared.packages.files import Edit, PackageFile, edited, list_files, read_text
from shared.packages.package import PackageLimits, build_package
from shared.packages.text import text_package
from tests.unit.packages.archives import Part, link, zip_of, zip_with

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
LIMIT = 1 << 20
SMALL = PackageLimits(compressed_bytes=100_000, inflated_bytes=1_000_000, nodes=50)
TWO = build_package({"index.js": b"1", "lib/h.js": b"2"})


def paths(content: bytes) -> list[str]:
    return [file.path for file in list_files(content)]


def test_of_an_upload_the_text_files_are_kept_with_their_paths() -> None:
    content = zip_of({"index.js": b"exports.a = 1\n", "utils/h.js": "// hé".encode(), "logo.png": PNG})

    kept = text_package(content)

    assert list_files(kept) == (PackageFile("index.js", 14), PackageFile("utils/h.js", 6))
    assert read_text(kept, "utils/h.js", LIMIT) == "// hé"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("program.js", b"\x7fELF\x02\x01\x01\0\0"),
        ("latin.js", b"// caf\xe9"),
        ("cut.js", "é".encode()[:1]),
        ("font.woff2", b"text by accident"),
        ("__MACOSX/._index.js", b"resource fork"),
        ("lib/.DS_Store", b"finder"),
    ],
)
def test_what_is_not_text_is_left_out(name: str, content: bytes) -> None:
    kept = text_package(zip_of({"index.js": b"1", name: content}))

    assert paths(kept) == ["index.js"]


def test_links_folders_and_byte_order_marks_are_left_out() -> None:
    folder = Part(name=b"empty/", mode=stat.S_IFDIR | 0o755)
    index = Part(name=b"index.js", content=b"\xef\xbb\xbfexports.a = 1")

    outside = link("lib/passwd", "/etc/passwd"), link("up.js", "../../up.js"), link("round.js", "round.js")
    kept = text_package(zip_with(index, folder, link("also.js", "index.js"), *outside))

    assert paths(kept) == ["index.js"]
    assert read_text(kept, "index.js", LIMIT) == "exports.a = 1"


def test_the_program_of_a_function_may_be_run_however_it_came() -> None:
    uploaded = text_package(zip_of({"bootstrap": b"#!/bin/sh\n", "lib/bootstrap": b"1"}))
    written = edited(TWO, Edit(kind="create", path="bootstrap", content="#!/bin/sh\n"))
    renamed = edited(TWO, Edit(kind="rename", path="index.js", new_path="bootstrap"))

    for content in (uploaded, written, renamed):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        assert modes.pop("bootstrap") == stat.S_IFREG | 0o755
        assert set(modes.values()) == {stat.S_IFREG | 0o644}


def test_the_same_files_make_the_same_package_whatever_their_order() -> None:
    one = text_package(zip_of({"a.js": b"1", "b.js": b"2"}))
    other = text_package(zip_of({"b.js": b"2", "a.js": b"1"}, method=zipfile.ZIP_STORED))

    assert one == other


@pytest.mark.parametrize(
    "content",
    [
        zip_of({"a.png": PNG}),
        zip_of({"a.js": b"\0"}),
        zip_of({}),
        b"not a zip",
        zip_of({"x/../../y.js": b"1"}),
        zip_with(Part(name=b"index.js", content=b"1"), link("../x.js", "index.js")),
        zip_with(link("index.js", "x.js")),
    ],
)
def test_an_upload_without_text_or_with_an_unsafe_path_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidPackageError):
        text_package(content)


def test_a_bomb_is_refused_in_little_memory() -> None:
    chunk = b"a" * (1 << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.js", "w") as out:
        for _ in range(260):
            out.write(chunk)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidPackageError, match="inflates to"):
            text_package(buffer.getvalue())
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_much_text_is_packed_in_little_memory() -> None:
    content = zip_of({"large.js": b"a line of text\n" * 2_000_000})
    tracemalloc.start()
    try:
        kept = text_package(content)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert list_files(kept) == (PackageFile("large.js", 30_000_000),)


def test_a_file_is_created_replaced_renamed_and_deleted_and_the_others_stay() -> None:
    created = edited(TWO, Edit(kind="create", path="new.js", content="3"))
    assert paths(created) == ["index.js", "lib/h.js", "new.js"]

    replaced = edited(created, Edit(kind="replace", path="new.js", content=""))
    assert read_text(replaced, "new.js", LIMIT) == ""

    renamed = edited(replaced, Edit(kind="rename", path="lib/h.js", new_path="lib/i.js"))
    assert paths(renamed) == ["index.js", "lib/i.js", "new.js"]
    assert read_text(renamed, "lib/i.js", LIMIT) == "2"

    deleted = edited(renamed, Edit(kind="delete", path="new.js"))
    assert paths(deleted) == ["index.js", "lib/i.js"]


def test_binary_files_modes_and_links_survive_a_change() -> None:
    program = Part(name=b"bootstrap", content=b"\x7fELF\0", mode=stat.S_IFREG | 0o755)
    index = Part(name=b"index.js", content=b"1")

    changed = edited(
        zip_with(program, index, link("also.js", "index.js")), Edit(kind="replace", path="index.js", content="2")
    )

    with zipfile.ZipFile(io.BytesIO(changed)) as archive:
        assert archive.read("bootstrap") == b"\x7fELF\0"
        assert archive.getinfo("bootstrap").external_attr >> 16 == stat.S_IFREG | 0o755
        assert archive.read("also.js") == b"index.js"
        assert stat.S_ISLNK(archive.getinfo("also.js").external_attr >> 16)


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (Edit(kind="create", path="index.js"), NameTakenError),
        (Edit(kind="replace", path="gone.js"), NotFoundError),
        (Edit(kind="delete", path="gone.js"), NotFoundError),
        (Edit(kind="rename", path="gone.js", new_path="a.js"), NotFoundError),
        (Edit(kind="rename", path="index.js", new_path="lib/h.js"), NameTakenError),
        (Edit(kind="rename", path="index.js", new_path="./index.js"), InvalidRequestError),
        (Edit(kind="create", path="../x.js"), InvalidPackageError),
        (Edit(kind="create", path="/etc/x.js"), InvalidPackageError),
        (Edit(kind="create", path="a\\b.js"), InvalidPackageError),
        (Edit(kind="create", path="a/"), InvalidPackageError),
        (Edit(kind="create", path=""), InvalidPackageError),
        (Edit(kind="create", path="index.js/inner.js"), InvalidPackageError),
        (Edit(kind="create", path="lib"), InvalidPackageError),
        (Edit(kind="create", path="noise.txt", content="".join(map(chr, range(32, 55_000)))), InvalidPackageError),
    ],
)
def test_a_change_that_cannot_be_is_refused(edit: Edit, error: type[Exception]) -> None:
    with pytest.raises(error):
        edited(TWO, edit, SMALL)


def test_the_last_file_cannot_be_deleted() -> None:
    with pytest.raises(InvalidRequestError):
        edited(build_package({"index.js": b"1"}), Edit(kind="delete", path="index.js"))


def test_an_edit_is_the_same_after_it_was_data() -> None:
    edit = Edit(kind="rename", path="a.js", new_path="b.js")

    assert Edit.of_data(edit.as_data()) == edit


def test_only_text_that_is_not_too_large_is_read() -> None:
    content = zip_of({"a.png": PNG, "b.js": b"12345"})

    with pytest.raises(InvalidRequestError, match="not a text file"):
        read_text(content, "a.png", LIMIT)
    with pytest.raises(InvalidRequestError, match="over 4 bytes"):
        read_text(content, "b.js", 4)
    with pytest.raises(NotFoundError):
        read_text(content, "c.js", LIMIT)
