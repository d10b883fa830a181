"""
OAuth applications of the caller's account: made, listed, changed, removed, and their versions.

A version's secret is shown once, to whoever makes it. A version that is removed turns away who still uses it; what was
issued to the application counts on. With the application everything goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.api.access.oauth1 import consumer_digest, token_digest
from services.api.access.permissions import authorize, may
from services.api.operations.authorizations import revoke
from services.api.platform import Platform
from shared.crypto.tokens import new_token, sha256_hex
from shared.database import application_records, applications
from shared.database.application_records import Application, ApplicationChange, Removed, Version
from shared.database.applications import NewApplication, NewClient, NewConsumer
from shared.database.query import ListQuery
from shared.domain.errors import (
    IllegalStateError,
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    QuotaExceededError,
)
from shared.domain.identity import Action, Identity
from shared.domain.ids import new_record_id

MOST_APPLICATIONS = 1_000
"""So many may an account have."""
MOST_VERSIONS = 100
"""So many may an application have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedApplication:
    """An application as it is asked for; ``type`` is ``oauth1`` or ``oauth2``."""

    type: str
    name: str
    description: str
    logo: str | None = None
    redirect_uris: tuple[str, ...] = ()
    confidential: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeVersion:
    """A new version: the only time its secret is seen. A public client has none."""

    type: str
    version: Version
    secret: str | None = field(repr=False)


async def list_applications(
    platform: Platform, identity: Identity, query: ListQuery
) -> tuple[Sequence[Application], int | None, bool]:
    """
    Return one page of the account's applications, how many match in all, and whether the caller may see them whole.

    Raises:
        InvalidQueryError: the query names a field there is not, or the caller may not see.
    """
    whole = may(identity, Action.READ_APPLICATIONS)
    found, total = await application_records.list_applications(platform.db, identity.account_id, query, whole=whole)
    return found, total, whole


async def create_application(platform: Platform, identity: Identity, wanted: WantedApplication) -> Application:
    """
    Make an application without versions.

    Raises:
        ForbiddenError: the caller may not make applications.
        QuotaExceededError: the account has as many as it may.
    """
    authorize(identity, Action.CREATE_APPLICATION)
    if await application_records.count_applications(platform.db, identity.account_id) >= MOST_APPLICATIONS:
        raise QuotaExceededError(f"An account may have {MOST_APPLICATIONS} applications.", limit=MOST_APPLICATIONS)
    new = NewApplication(
        id=new_record_id(),
        account_id=identity.account_id,
        environment_id=identity.environment_id,
        type=wanted.type,
        name=wanted.name,
        description=wanted.description,
        logo=wanted.logo,
        redirect_uris=wanted.redirect_uris,
        confidential=wanted.confidential,
    )
    await applications.insert_application(platform.db, new)
    return await _find(platform, identity, new.id)


async def update_application(
    platform: Platform, identity: Identity, application_id: str, type_: str, change: ApplicationChange
) -> None:
    """
    Change an application; its type must be named, and stays.

    Raises:
        ForbiddenError: the caller may not change applications.
        NotFoundError: the account has none with that id.
        InvalidRequestError: it is of another type.
    """
    authorize(identity, Action.UPDATE_APPLICATION)
    known = await _find(platform, identity, application_id)
    if known.type != type_:
        raise InvalidRequestError(f"The field type is expected to be {known.type}.", field="type")
    if not await application_records.update_application(platform.db, identity.account_id, application_id, change):
        raise _no_application()


async def remove_application(platform: Platform, identity: Identity, application_id: str) -> None:
    """
    Remove an application, and everything that was issued to it.

    Raises:
        ForbiddenError: the caller may not remove applications.
        NotFoundError: the account has none with that id.
    """
    authorize(identity, Action.DELETE_APPLICATION)
    removed = await application_records.remove_application(platform.db, identity.account_id, application_id)
    if removed is None:
        raise _no_application()
    _forget(platform, removed)


async def create_version(platform: Platform, identity: Identity, application_id: str, name: str) -> MadeVersion:
    """
    Make a version with a key of its own, and a secret unless it is a public client's.

    Raises:
        ForbiddenError: the caller may not make applications.
        NotFoundError: the account has no such application.
        NameTakenError: it has a version of that name.
        IllegalStateError: it has as many versions as it may.
        UnavailableError: the secret cannot be sealed.
    """
    authorize(identity, Action.CREATE_APPLICATION)
    application = await _find(platform, identity, application_id)
    if any(version.name == name for version in application.versions):
        raise NameTakenError(f"There is a version {name} already.")
    if len(application.versions) >= MOST_VERSIONS:
        raise IllegalStateError(f"An application may have {MOST_VERSIONS} versions.")
    id_, key = new_record_id(), new_token()
    secret = new_token() if application.type == "oauth1" or application.confidential else None
    if application.type == "oauth1" and secret is not None:
        sealed = await platform.envelope.seal(secret.encode(), id_)
        consumer = NewConsumer(id=id_, application_id=application.id, name=name, consumer_key=key, sealed=sealed)
        await applications.insert_consumer(platform.db, consumer)
    else:
        digest = None if secret is None else sha256_hex(secret)
        client = NewClient(id=id_, application_id=application.id, name=name, client_id=key, client_secret_sha256=digest)
        await applications.insert_client(platform.db, client)
    made = next(each for each in (await _find(platform, identity, application_id)).versions if each.id == id_)
    return MadeVersion(type=application.type, version=made, secret=secret)


async def remove_version(platform: Platform, identity: Identity, application_id: str, reference: str) -> None:
    """
    Remove a version by id or name: nobody comes in by its key any more.

    Raises:
        ForbiddenError: the caller may not remove applications.
        NotFoundError: there is no such application, or no such version of it.
    """
    authorize(identity, Action.DELETE_APPLICATION)
    application = await _find(platform, identity, application_id)
    removed = await application_records.remove_version(platform.db, application.id, reference)
    if removed is None:
        raise NotFoundError("There is no such version.")
    _forget(platform, removed)


async def _find(platform: Platform, identity: Identity, application_id: str) -> Application:
    found = await application_records.find_application(platform.db, identity.account_id, application_id)
    if found is None:
        raise _no_application()
    return found


def _forget(platform: Platform, removed: Removed) -> None:
    revoke(
        platform,
        *map(consumer_digest, removed.consumer_keys),
        *map(token_digest, removed.tokens),
        *removed.access_sha256s,
    )


def _no_application() -> NotFoundError:
    return NotFoundError("There is no such application.")
