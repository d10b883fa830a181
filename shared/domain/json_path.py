"""
Paths into JSON: ``$.a.b[0]``, nothing more.

A path begins with ``$``; each step is ``.name`` (letters, digits, ``_`` and ``-``), ``['any name']`` or an index
counted from zero. Pure.
"""

import re
from typing import Any

Steps = tuple[str | int, ...]
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(0|[1-9][0-9]{0,8})\]|\['([^']+)'\]", re.ASCII)
_LONGEST = 1000


class NotThereError(Exception):
    """A document has nothing at a path."""


def parse_path(path: str) -> Steps:
    """Return the steps of a path; raise ``ValueError`` when it is none."""
    if not path.startswith("$") or len(path) > _LONGEST:
        raise ValueError(f"expected a path like $.a.b[0] of at most {_LONGEST} characters")
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"expected a path like $.a.b[0]; {path[at:]!r} is no step of one")
        name, index, quoted = found.groups()
        steps.append(int(index) if index is not None else name or quoted)
        at = found.end()
    return tuple(steps)


def find(document: Any, steps: Steps) -> Any:
    """Return what a document has at a path; raise ``NotThereError``."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(document, dict) or step not in document:
                raise NotThereError
        elif not isinstance(document, list) or step >= len(document):
            raise NotThereError
        document = document[step]
    return document
