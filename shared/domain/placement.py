"""
Where a function is at its provider, and what a cloud says of it.

A *placement* is asked for when a function is created and stays: the connection into somebody's cloud account, the
region, the name there. A *cloud function* is what the cloud last said: the truth about it, which may have been
changed behind our back. A function of this platform's own invokers has the provider ``local`` and no cloud function.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

LOCAL = "local"
AWS = "aws"


class CloudState(StrEnum):
    """How a function is at its cloud; the words of contracts/gateways.md section 4.1."""

    CREATING = "creating"
    ACTIVE = "active"
    INACTIVE = "inactive"
    UPDATING = "updating"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """
    Where a function is to be. ``name`` is its name there; ``account_id`` the cloud's own number of the account.

    ``labels`` are put on it there, so that a person who finds it knows what it belongs to. ``is_public`` says whether
    it is given an address there that anybody may call.
    """

    function_id: str
    provider: str
    connection_id: str
    account_id: str
    region: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    is_public: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFunction:
    """
    A function as its cloud describes it.

    ``state`` is ours; ``cloud_state`` and ``reason`` are the cloud's words. ``code_sha256`` is of the deployed zip, in
    hex; empty when the cloud does not say. ``url`` is where anybody may call it, ``owner`` the id of the function of
    ours that it says it is, empty when it says none.
    """

    arn: str
    state: CloudState
    cloud_state: str
    runtime: str
    architecture: str
    handler: str
    memory_mb: int
    timeout_s: int
    tmp_mb: int
    role: str = ""
    description: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    code_sha256: str = ""
    code_bytes: int = 0
    last_modified: str = ""
    reason: str | None = None
    url: str | None = None
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
