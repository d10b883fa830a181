"""
Secrets of an account: named values that functions are granted, never shown again once given.

A function gets a secret when its version lists the name and the secret's own allow-list, if it has one, names the
function. Everything here is what may be told of a secret; values and their seals are the database's and the vault's.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFacts:
    """
    What may be told of a secret.

    ``allowed_functions`` are function ids; None allows every function of the account. ``version`` counts values.
    """

    id: str
    account_id: str
    name: str
    description: str
    allowed_functions: tuple[str, ...] | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFunction:
    """A function that a change of a secret concerns, with its new revision."""

    function_id: str
    environment_id: str
    name: str
    revision: int
