"""
Messages to bytes and back.

A body (what one AMQP message carries) is one frame or several, each a message::

    ┌──────────────┬───────────────┬────────────────────────────┬───────────────┐
    │ header bytes │ payload bytes │ header: JSON               │ payload: raw  │
    │ uint32       │ uint32        │ {"type","version",fields…} │               │
    └──────────────┴───────────────┴────────────────────────────┴───────────────┘

The type is told by the tag, never by which fields exist. Integers are big-endian. A header over
``COMPRESS_OVER_BYTES`` travels zlib-compressed, told by the top bit of its length: brokers bound a message, and
a record carries whole results as JSON text. Decoding is strict: what comes out is a message with fields of
exactly its types, or ``UndecodableError`` says why not. Unknown fields are ignored; absent ones take their default.

The converters are made once, when this module is imported, from the fields of the types in ``MESSAGES``; a field
of a type not listed in ``_converter`` stops the import. Which bytes go where, and when, is the bus's business.
"""

import dataclasses
import struct
import types
import typing
import zlib
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Union, get_args, get_origin

import orjson

from shared.messages.messages import MESSAGES, Message

MAX_FRAME_BYTES = 15 * 1024 * 1024
"""RabbitMQ 4 refuses messages over 16 MiB unless told otherwise."""
MAX_HEADER_BYTES = 64 * 1024 * 1024
"""Of a header's JSON text before it is compressed: it bounds what a few hostile bytes can unfold to."""
COMPRESS_OVER_BYTES = 4 * 1024 * 1024

_LENGTHS = struct.Struct("!II")
_COMPRESSED = 0x8000_0000

_Converter = Callable[[object], object]
_Fields = Mapping[str, object]


class CodecError(Exception):
    """A message and its bytes do not agree. ``reason`` says how, in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UndecodableError(CodecError):
    """These bytes are no message we know."""


class UnencodableError(CodecError):
    """This message cannot be written: over the size limit, or text that is not Unicode."""


def encode(message: Message) -> bytes:
    """
    Return the frame of one message, which is also a body.

    Raises:
        UnencodableError: the frame would be larger than ``MAX_FRAME_BYTES``, or a text holds lone surrogates.
    """
    plan = _PLANS[type(message)]
    try:
        header = orjson.dumps(plan.header_of(message), _to_json)
    except TypeError as error:
        raise UnencodableError(f"{plan.tag[0]}: {error}") from error
    payload: bytes = getattr(message, "payload", b"") if plan.has_payload else b""
    length = len(header)
    if length > COMPRESS_OVER_BYTES:
        header = _compressed(header, plan.tag[0])
        length = len(header) | _COMPRESSED
    if len(header) + len(payload) > MAX_FRAME_BYTES:
        raise UnencodableError(
            f"{plan.tag[0]}: {len(header) + len(payload)} bytes are over the limit of {MAX_FRAME_BYTES}"
        )
    return b"".join((_LENGTHS.pack(length, len(payload)), header, payload))


def encode_batch(messages: Iterable[Message]) -> bytes:
    """Return one body that holds all the messages, in order."""
    return b"".join(map(encode, messages))


def decode(frame: bytes) -> Message:
    """
    Return the one message of a body.

    Raises:
        UndecodableError: broken bytes, an unknown type or version, a field of the wrong type, or more than one message.
    """
    header, payload, end = _parts(frame, 0)
    if end != len(frame):
        raise UndecodableError("more than one message where one is expected")
    return _message(header, payload)


def decode_batch(body: bytes) -> list[Message]:
    """Return the messages of a body, in order; ``UndecodableError`` if any of them cannot be read."""
    messages = []
    start, size = 0, len(body)
    while start < size:
        header, payload, start = _parts(body, start)
        messages.append(_message(header, payload))
    return messages


def split(body: bytes) -> list[bytes]:
    """Return the frames of a body unread, so that one bad message need not cost the others."""
    frames = []
    start, size = 0, len(body)
    while start < size:
        _, _, end = _parts(body, start)
        frames.append(body[start:end])
        start = end
    return frames


def _parts(body: bytes, start: int) -> tuple[bytes, bytes, int]:
    """Return the header's JSON text (still compressed if so), the payload, and where the next frame starts."""
    try:
        header_length, payload_length = _LENGTHS.unpack_from(body, start)
    except struct.error as error:
        raise UndecodableError(f"{len(body) - start} stray bytes where a frame should begin") from error
    compressed = header_length & _COMPRESSED
    header_end = start + _LENGTHS.size + (header_length & ~_COMPRESSED)
    end = header_end + payload_length
    if end > len(body):
        raise UndecodableError(f"a frame of {end - start} bytes is cut after {len(body) - start}")
    header = body[start + _LENGTHS.size : header_end]
    return (_decompressed(header) if compressed else header), body[header_end:end], end


def _message(header: bytes, payload: bytes) -> Message:
    try:
        fields = orjson.loads(header)
    except orjson.JSONDecodeError as error:
        raise UndecodableError(f"the header is not JSON: {error}") from error
    if type(fields) is not dict:
        raise UndecodableError("the header is not a JSON object")
    tag = fields.get("type"), fields.get("version")
    plan = _BY_TAG.get(tag) if type(tag[0]) is str and type(tag[1]) is int else None
    if plan is None:
        raise UndecodableError(f"unknown message type {str(tag[0])[:80]!r} version {str(tag[1])[:20]}")
    try:
        return plan.build(fields, payload)
    except _MismatchError as error:
        raise UndecodableError(f"{plan.tag[0]}: {error}") from error


def _compressed(header: bytes, name: str) -> bytes:
    if len(header) > MAX_HEADER_BYTES:
        raise UnencodableError(f"{name}: a header of {len(header)} bytes is over the limit of {MAX_HEADER_BYTES}")
    return zlib.compress(header, 1)


def _decompressed(header: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(header, MAX_HEADER_BYTES)
    except zlib.error as error:
        raise UndecodableError(f"the compressed header is broken: {error}") from error
    if not unpacker.eof:
        raise UndecodableError(f"the compressed header is cut, or over {MAX_HEADER_BYTES} bytes")
    return text


def _to_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent")


class _MismatchError(Exception):
    """A field is not of its type."""


class _Plan:
    """How one message type is written and read."""

    has_payload: bool

    def __init__(self, message: type[Message]) -> None:
        fields = dataclasses.fields(message)
        self.tag: tuple[str, int] = (message.TYPE, message.VERSION)
        self.has_payload = any(field.name == "payload" for field in fields)
        self._names = ("type", "version", *(field.name for field in fields if field.name != "payload"))
        self._values: Callable[[Message], tuple[object, ...]] = attrgetter("TYPE", "VERSION", *self._names[2:])
        self._read = _reader(message)

    def header_of(self, message: Message) -> dict[str, object]:
        return dict(zip(self._names, self._values(message), strict=True))

    def build(self, fields: _Fields, payload: bytes) -> Message:
        read = self._read
        message: Message = read(fields, payload) if self.has_payload else read(fields, None)
        return message


def _reader(cls: type[Any]) -> Callable[[_Fields, bytes | None], Any]:
    """Return the function that builds a ``cls`` from a JSON object (and, if the class has one, a payload)."""
    hints = typing.get_type_hints(cls)
    fields = [field for field in dataclasses.fields(cls) if field.name != "payload"]
    converters = [(field.name, _converter(hints[field.name]), _optional(field)) for field in fields]

    def read(given: _Fields, payload: bytes | None) -> Any:
        found: dict[str, object] = {}
        for name, convert, optional in converters:
            if name in given:
                try:
                    found[name] = convert(given[name])
                except _MismatchError as error:
                    raise _MismatchError(f"{name}: {error}") from error
            elif not optional:
                raise _MismatchError(f"{name} is missing")
        if payload is not None:
            found["payload"] = payload
        return cls(**found)

    return read


def _optional(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


_NAMES: dict[type, str] = {str: "a text", int: "an integer", bool: "a boolean", type(None): "null"}


def _converter(hint: Any) -> _Converter:
    """Return the function that turns a JSON value into a value of the type ``hint``, or raises."""
    if hint in _NAMES:
        return _exactly(hint)
    if hint is float:
        return _float
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _object(_reader(hint))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        return _tuple(_converter(arguments[0]))
    if origin is Mapping and arguments[0] is str:
        return _mapping(_converter(arguments[1]))
    raise TypeError(f"the codec has no converter for {hint!r}")


def _exactly(kind: type) -> _Converter:
    def convert(value: object) -> object:
        if type(value) is not kind:
            raise _MismatchError(f"expected {_NAMES[kind]}, got {type(value).__name__}")
        return value

    return convert


def _float(value: object) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    raise _MismatchError(f"expected a number, got {type(value).__name__}")


def _object(read: Callable[[_Fields, None], object]) -> _Converter:
    def convert(value: object) -> object:
        if type(value) is not dict:
            raise _MismatchError(f"expected an object, got {type(value).__name__}")
        return read(value, None)

    return convert


def _union(members: tuple[Any, ...]) -> _Converter:
    """Null is tried first, since it is the usual alternative; then the members in their order."""
    nullable = type(None) in members
    converters = [_converter(member) for member in members if member is not type(None)]
    if len(converters) == 1:
        [only] = converters
        return lambda value: None if value is None and nullable else only(value)

    def convert(value: object) -> object:
        if value is None and nullable:
            return None
        for attempt in converters:
            try:
                return attempt(value)
            except _MismatchError:
                continue
        raise _MismatchError(f"a {type(value).__name__} is none of the types it may be")

    return convert


def _tuple(convert_item: _Converter) -> _Converter:
    def convert(value: object) -> object:
        if type(value) is not list:
            raise _MismatchError(f"expected a list, got {type(value).__name__}")
        return tuple([convert_item(item) for item in value])

    return convert


def _mapping(convert_value: _Converter) -> _Converter:
    def convert(value: object) -> object:
        if type(value) is not dict:
            raise _MismatchError(f"expected an object, got {type(value).__name__}")
        return {key: convert_value(item) for key, item in value.items()}

    return convert


_PLANS: dict[type[Message], _Plan] = {message: _Plan(message) for message in MESSAGES}
_BY_TAG: dict[object, _Plan] = {plan.tag: plan for plan in _PLANS.values()}
if len(_BY_TAG) != len(_PLANS):
    raise TypeError("two messages share a type and version")
