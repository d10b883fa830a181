"""One part of a form: found by name, whatever stands around it."""

import httpx
import pytest

from services.api.multipart import find_part
from shared.domain.errors import MalformedBodyError

TYPE = "multipart/form-data; boundary=xx"


def encoded(files: dict[str, tuple[str, bytes]], fields: dict[str, str] | None = None) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://test", files=files, data=fields)
    return request.read(), request.headers["Content-Type"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\r\n--\r\n", b"a\r\n--b\r\n\r\n" * 1000])
def test_a_file_is_found_among_other_parts_as_it_was_sent(content: bytes) -> None:
    body, kind = encoded({"other": ("a.txt", b"no"), "file": ("f.zip", content)}, {"note": "hello"})

    assert find_part(body, kind, "file") == content


@pytest.mark.parametrize("name", ["código ü.zip", 'a"b;c.zip', ""])
def test_a_file_may_be_called_anything(name: str) -> None:
    body, kind = encoded({"file": (name, b"1")})

    assert find_part(body, kind, "file") == b"1"


def test_a_part_that_is_not_there_is_none() -> None:
    body, kind = encoded({"upload": ("f.zip", b"1")})

    assert find_part(body, kind, "file") is None


def test_a_preamble_and_parts_without_a_name_are_passed_over() -> None:
    body = (
        b'preamble\r\n--xx\r\n\r\nno headers\r\n--xx\r\nContent-Disposition: form-data; name="file"\r\n\r\n1\r\n--xx--'
    )

    assert find_part(body, TYPE, "file") == b"1"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", TYPE),
        (b"--xx\r\n", TYPE),
        (b'--xx\r\nContent-Disposition: form-data; name="file"\r\n\r\ncut', TYPE),
        (b"--xx\r\n\r\n\r\n" * 200 + b"--xx--", TYPE),
        (b"--xx--", "application/zip"),
        (b"--xx--", "multipart/form-data"),
        (b"--xx--", ""),
        (b"--xx--", "multipart/form-data; boundary=xx\xff\udcff"),
        (b"--xx--", "multipart/form-data; boundary*=zz''%ff"),
    ],
)
def test_what_is_no_form_or_not_whole_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(MalformedBodyError):
        find_part(body, kind, "file")
