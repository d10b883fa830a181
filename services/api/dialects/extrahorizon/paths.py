"""What a path names."""

from collections.abc import Mapping

from shared.domain.errors import MalformedIdError
from shared.domain.ids import is_record_id


def record_id(parameters: Mapping[str, str]) -> str:
    """Return the id in a path; raise ``MalformedIdError`` if it has not the form of one."""
    if not is_record_id(parameters["id"]):
        raise MalformedIdError("The id is expected to be 24 hexadecimal digits.", field="id")
    return parameters["id"]
