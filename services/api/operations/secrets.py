"""
Secrets of the caller's account: made, listed, changed, deleted; their values go in and never come out.

A change is in force at the next invocation: it raises the revision of the functions it concerns, and every replica
hears of those. What runs is the same, so workers stay. Grants are the functions' own business (``update_function``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.api.access.permissions import authorize
from services.api.platform import Platform
from shared.crypto.envelope import Sealed
from shared.database import secrets
from shared.database.secrets import NewSecret, SecretChange
from shared.domain.errors import NotFoundError, UnavailableError
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_secret_id
from shared.domain.secret import ChangedFunction, SecretFacts
from shared.messages.messages import FunctionChanged

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSecret:
    """A secret as it is asked for. The dialect has checked every field against its own rules."""

    name: str
    value: str
    description: str = ""
    allowed_functions: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return f"WantedSecret(name={self.name!r}, …)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPatch:
    """A change; None leaves a thing as it is. ``restrict`` says that ``allowed_functions`` is part of the change."""

    value: str | None = None
    description: str | None = None
    restrict: bool = False
    allowed_functions: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return "SecretPatch(…)"


async def create_secret(platform: Platform, identity: Identity, wanted: WantedSecret) -> SecretFacts:
    """
    Keep a secret in the caller's account; functions that list its name get it from now on.

    Raises:
        ForbiddenError: the caller may not write secrets.
        NameTakenError: the account has a secret of that name.
        QuotaExceededError: the account has as many as it may.
        UnavailableError: there is no master key to seal it with, or it is out of reach.
    """
    authorize(identity, Action.WRITE_SECRETS)
    for _ in range(_TRIES):
        secret_id = new_secret_id()
        new = NewSecret(
            id=secret_id,
            account_id=identity.account_id,
            name=wanted.name,
            description=wanted.description,
            allowed_functions=wanted.allowed_functions,
            sealed=await _sealed(platform, wanted.value, secret_id),
        )
        made = await secrets.insert_secret(platform.db, new, limit=platform.limits.secrets_per_account)
        if made is not None:
            facts, concerned = made
            _announce(platform, concerned)
            return facts
    raise UnavailableError("no free id was found; try again")


async def list_secrets(
    platform: Platform, identity: Identity, *, limit: int, offset: int
) -> tuple[Sequence[SecretFacts], int]:
    """Return one page of the account's secrets, by name, and how many there are."""
    authorize(identity, Action.READ_SECRETS)
    return await secrets.list_secrets(platform.db, identity.account_id, limit=limit, offset=offset)


async def get_secret(platform: Platform, identity: Identity, reference: str) -> SecretFacts:
    """Return the account's secret of this id or name; raise ``NotFoundError``."""
    facts = await secrets.find_secret(platform.db, identity.account_id, reference)
    if facts is None:
        raise NotFoundError("no such secret")
    return facts


async def update_secret(platform: Platform, identity: Identity, secret: SecretFacts, patch: SecretPatch) -> SecretFacts:
    """
    Change a secret; functions get its new value at their next run.

    Raises:
        ForbiddenError: the caller may not write secrets.
        NotFoundError: it was deleted meanwhile.
        UnavailableError: there is no master key to seal it with, or it is out of reach.
    """
    authorize(identity, Action.WRITE_SECRETS)
    change = SecretChange(
        sealed=None if patch.value is None else await _sealed(platform, patch.value, secret.id),
        description=patch.description,
        restrict=patch.restrict,
        allowed_functions=patch.allowed_functions,
    )
    changed = await secrets.update_secret(platform.db, secret.account_id, secret.id, change)
    if changed is None:
        raise NotFoundError("no such secret")
    facts, concerned = changed
    _announce(platform, concerned)
    return facts


async def delete_secret(platform: Platform, identity: Identity, secret: SecretFacts) -> None:
    """
    Delete a secret; grants that name it stay, and give nothing.

    Raises:
        ForbiddenError: the caller may not delete secrets.
        NotFoundError: it is gone already.
    """
    authorize(identity, Action.DELETE_SECRET)
    concerned = await secrets.delete_secret(platform.db, secret.account_id, secret.id)
    if concerned is None:
        raise NotFoundError("no such secret")
    _announce(platform, concerned)


async def _sealed(platform: Platform, value: str, secret_id: str) -> Sealed:
    return await platform.envelope.seal(value.encode(), secret_id)


def _announce(platform: Platform, concerned: Sequence[ChangedFunction]) -> None:
    for function in concerned:
        notice = FunctionChanged(
            function_id=function.function_id,
            environment_id=function.environment_id,
            name=function.name,
            revision=function.revision,
            version_changed=False,
        )
        platform.functions.on_change(notice)
        platform.bus.notify(notice)
