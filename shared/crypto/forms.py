"""What the members of a signed document must look like, and which one does not."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Form = tuple[Callable[[object], bool], str]
"""Whether a value has the form, and what the form is called."""


def text(pattern: str, name: str) -> Form:
    """Return the form of a text that matches a pattern whole."""
    compiled = re.compile(pattern, re.ASCII)
    return (lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None), name


def or_null(form: Form) -> Form:
    """Return the form, or null."""
    is_right, name = form
    return (lambda value: value is None or is_right(value)), f"{name} or null"


HASH = text("[0-9a-f]{64}", "64 hex digits")
MOMENT = text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a time in whole seconds UTC")
ANY_TEXT: Form = (lambda value: isinstance(value, str), "a text")
LIST: Form = (lambda value: isinstance(value, list), "a list")
OBJECT: Form = (lambda value: isinstance(value, dict), "an object")
TRUE: Form = (lambda value: value is True, "true")
NULL: Form = (lambda value: value is None, "null")

SIGNED: Mapping[str, Form] = {
    "keyId": text("sgn_[0-9a-f]{16}", "the id of a signing key"),
    "algorithm": ANY_TEXT,
    "signature": ANY_TEXT,
}
"""The members that signing adds."""


def misfit(document: Mapping[str, Any], forms: Mapping[str, Form]) -> str | None:
    """Return which member is missing, too many or of the wrong form, and how; None when all is right."""
    for name in sorted(forms.keys() - document.keys()):
        return f"{name}: it is missing"
    for name in sorted(document.keys() - forms.keys()):
        return f"{name}: it does not belong here"
    for name, (is_right, form) in forms.items():
        if not is_right(document[name]):
            return f"{name}: it is not {form}"
    return None
