"""
Neo N3 addresses and script hashes (contracts/neo.md section 4); pure.

An address is base58 of 25 bytes: the version 0x35, the script hash in reverse, and the first four bytes of the
SHA-256 of the SHA-256 of what is before them. ``runtimes/node/addresses.js`` does the same beside the function,
where an answer must not take a call; a test compares the two.
"""

import hashlib
import re

from services.invoker.host_services.errors import InvalidArgumentError

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_ALPHABET)}
_VERSION = b"\x35"
_ADDRESS = re.compile(f"[{_ALPHABET}]{{34}}")
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]+)", re.ASCII)
_BYTES, _CHECKSUM_BYTES = 25, 4
SCRIPT_HASH_DIGITS = 40


def address_to_script_hash(address: object) -> str:
    """
    Return the script hash of an address: 40 hex digits in lower case, no prefix.

    Raises:
        InvalidArgumentError: it is not a Neo N3 address.
    """
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise InvalidArgumentError("a Neo N3 address has 34 characters of base58 and begins with N")
    number = 0
    for digit in address:
        number = number * 58 + _VALUES[digit]
    if number.bit_length() > _BYTES * 8:
        raise InvalidArgumentError("this is not a Neo N3 address: it is too large a number")
    data = number.to_bytes(_BYTES, "big")
    if data[-_CHECKSUM_BYTES:] != _checksum(data[:-_CHECKSUM_BYTES]):
        raise InvalidArgumentError("this is not a Neo N3 address: its checksum is wrong")
    if data[:1] != _VERSION:
        raise InvalidArgumentError("this is not a Neo N3 address: it is of another version")
    return data[1:-_CHECKSUM_BYTES][::-1].hex()


def script_hash_to_address(script_hash: object) -> str:
    """
    Return the address of a script hash.

    Raises:
        InvalidArgumentError: it is not 40 hex digits, with or without 0x.
    """
    data = _VERSION + bytes.fromhex(hex_digits(script_hash, SCRIPT_HASH_DIGITS, "a script hash"))[::-1]
    number = int.from_bytes(data + _checksum(data), "big")
    digits: list[str] = []
    while number:
        number, value = divmod(number, 58)
        digits.append(_ALPHABET[value])
    return "".join(reversed(digits))


def hex_digits(given: object, count: int, what: str) -> str:
    """
    Return ``count`` hex digits, in lower case and without the 0x they may have.

    Raises:
        InvalidArgumentError: naming ``what``.
    """
    found = _HEX.fullmatch(given) if isinstance(given, str) else None
    if found is None or len(found[1]) != count:
        raise InvalidArgumentError(f"{what} has {count} hex digits")
    return found[1].lower()


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()[:_CHECKSUM_BYTES]
