"""Which paths a package may hold: contracts/gateways.md section 4.5."""

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidPackageError
from shared.packages.paths import MAX_PATH_BYTES, MAX_SEGMENT_BYTES, clean_path, normal_form

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
SHAPED = st.lists(st.sampled_from(["..", ".", "", "a", "b:"])).map("/".join)


@pytest.mark.parametrize(
    ("name", "issue"),
    [
        ("../x.js", ".."),
        ("a/../../x.js", ".."),
        ("a/..", ".."),
        ("..", ".."),
        ("/etc/x.js", "absolute"),
        ("//host/share/x.js", "absolute"),
        ("C:/x.js", "absolute"),
        ("c:x.js", "absolute"),
        ("./c:x.js", "absolute"),
        ("C:\\x.js", "backslash"),
        ("\\\\host\\share\\x.js", "backslash"),
        ("a\\..\\b.js", "backslash"),
        ("a\0.js", "control"),
        ("a\n.js", "control"),
        ("a\x7f.js", "control"),
        ("a\x85.js", "control"),
        ("", "empty"),
        ("a//b.js", "empty"),
        ("a//", "empty"),
        ("\ud800.js", "Unicode"),
        ("a" * (MAX_SEGMENT_BYTES + 1), "segment over 255"),
        ("é" * 128, "segment over 255"),
        ("a/" * (MAX_PATH_BYTES // 2) + "a", "path over 1024"),
    ],
)
def test_an_unsafe_path_is_refused_and_the_reason_is_named(name: str, issue: str) -> None:
    with pytest.raises(InvalidPackageError, match=issue) as caught:
        clean_path(name)

    assert issue in str(caught.value.fields["issue"])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("index.js", "index.js"),
        ("a..b.js", "a..b.js"),
        ("...", "..."),
        ("..a/b", "..a/b"),
        ("./index.js", "index.js"),
        ("a/./b.js", "a/b.js"),
        ("lib/", "lib"),
        ("./", ""),
        ("a" * MAX_SEGMENT_BYTES, "a" * MAX_SEGMENT_BYTES),
        ("ab:c.js", "ab:c.js"),
        ("node_modules/.bin/tsc", "node_modules/.bin/tsc"),
        ("bücher/日本.js", "bücher/日本.js"),
    ],
)
def test_a_safe_path_is_kept_without_dot_segments(name: str, path: str) -> None:
    assert path == clean_path(name)


def test_a_hostile_name_is_shown_escaped_and_cut() -> None:
    with pytest.raises(InvalidPackageError) as caught:
        clean_path("\x1b[31m" + "x" * 10_000)

    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 400


@given(ANY_TEXT | SHAPED)
def test_whatever_is_accepted_stays_below_the_root(name: str) -> None:
    try:
        path = clean_path(name)
    except InvalidPackageError:
        return

    parts = PurePosixPath("/root", path).parts
    assert parts[:2] == ("/", "root")
    assert ".." not in parts
    assert clean_path(path) == path if path else name.strip("./") == ""


@given(st.text("aé\u0301/.", min_size=1, max_size=12))
def test_composed_and_decomposed_forms_are_the_same_path(name: str) -> None:
    assert normal_form(unicodedata.normalize("NFD", name)) == normal_form(unicodedata.normalize("NFC", name))


def test_paths_that_differ_in_case_are_two_paths() -> None:
    assert normal_form("README.md") != normal_form("readme.md")
