"""
Why a deployment was refused, as callers may read it.

A cloud repeats what it was sent when it does not like it. The values of locked variables are shown to nobody, so they
leave its text before that is kept: they may be ones that whoever asked for the change does not know.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from shared.database import functions
from shared.database.deployments import Deployment
from shared.database.pool import Queries
from shared.domain.errors import ErrorRecord, PlatformError

_MASK = "********"
_SHORTEST = 4
"""Shorter values stand in texts by chance."""


async def told(db: Queries, deployment: Deployment, error: PlatformError) -> ErrorRecord:
    """Return an error that ends a deployment without the values of variables that are locked before or after it."""
    variables = deployment.spec.environment
    if not variables:
        return error.record()
    locked = {
        *(deployment.settings.locked_variables or ()),
        *await functions.locked_variables(db, deployment.function_id),
    }
    return without(error.record(), [value for name, value in variables.items() if name in locked])


def without(error: ErrorRecord, values: Collection[str]) -> ErrorRecord:
    """Return an error without some values in its texts."""
    # A value may contain another: the longest goes first.
    hidden = sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)

    def masked(text: str) -> str:
        for value in hidden:
            text = text.replace(value, _MASK)
        return text

    fields: Mapping[str, str | int] = {
        name: masked(value) if isinstance(value, str) else value for name, value in error.fields.items()
    }
    return replace(error, message=masked(error.message), fields=fields)
