"""
One part of a ``multipart/form-data`` body that is in memory already: the file somebody uploads (RFC 7578).

The body was bounded by whoever read it; nothing of it is copied but the part that is asked for.
"""

from email.message import Message
from email.parser import BytesHeaderParser

from shared.domain.errors import MalformedBodyError

_MAX_HEADERS_BYTES = 8192
_MAX_PARTS = 100


def find_part(body: bytes, content_type: str, name: str) -> bytes | None:
    """
    Return the content of the first part of a name; None when there is none.

    Raises:
        MalformedBodyError: the body is not ``multipart/form-data``, or is cut short.
    """
    delimiter = b"--" + _boundary(content_type)
    at = 0 if body.startswith(delimiter) else _after(body, b"\r\n" + delimiter, 0) - len(delimiter)
    for _ in range(_MAX_PARTS):
        at += len(delimiter)
        if body.startswith(b"--", at):
            return None
        headers_at = _after(body, b"\r\n", at)
        content_at = _after(body, b"\r\n\r\n", headers_at - 2, headers_at + _MAX_HEADERS_BYTES)
        end = body.find(b"\r\n" + delimiter, content_at - 2)
        if end < 0:
            break
        if _name_of(body[headers_at:content_at]) == name:
            return body[content_at:end]
        at = end + 2
    raise _cut_short()


def _boundary(content_type: str) -> bytes:
    header = Message()
    if content_type.isascii():  # what is not makes the parser fail, and no boundary
        header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise MalformedBodyError("A multipart/form-data body is expected")
    return boundary.encode("latin-1", "replace")


def _name_of(headers: bytes) -> str | None:
    parsed = BytesHeaderParser().parsebytes(headers)
    if parsed.get_content_disposition() != "form-data":
        return None
    name = parsed.get_param("name", header="content-disposition")
    return name if isinstance(name, str) else None


def _after(body: bytes, mark: bytes, start: int, end: int | None = None) -> int:
    found = body.find(mark, start, end)
    if found < 0:
        raise _cut_short()
    return found + len(mark)


def _cut_short() -> MalformedBodyError:
    return MalformedBodyError("The multipart body is not whole, or has too many parts")
