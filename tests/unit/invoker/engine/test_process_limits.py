"""How many processes a sandbox may have, and when the kernel can be told so."""

import resource
from pathlib import Path

import pytest

from services.invoker.pool.settings import NetworkPolicy, SandboxLevel
from services.invoker.sandbox.bare import Bare
from services.invoker.sandbox.bubblewrap import Bubblewrap
from services.invoker.sandbox.driver import RootFilesystem, SandboxDriver, SandboxSpec, Slot
from services.invoker.sandbox.limits import counts_by_namespace

MAX = 64
ROOT = RootFilesystem(
    runtime="node", path=Path("/root"), loader="/ld", library_directory="/lib", command=("/node",), trial=("/node",)
)
BUBBLEWRAP = Bubblewrap(
    level=SandboxLevel.FULL,
    program=Path("/bwrap"),
    libraries=None,
    filter_file=Path("/filter"),
    network=NetworkPolicy.NONE,
    slirp4netns=None,
    max_processes=MAX,
    visible=str,
)
BARE = Bare(
    level=SandboxLevel.LANDLOCK,
    filter_file=Path("/filter"),
    api_filter_file=Path("/filter"),
    network=False,
    max_processes=MAX,
    visible=str,
)


def limits(driver: SandboxDriver, uid: int | None) -> tuple[int | None, int | None]:
    """Return the limit set before the program starts, and the one set in its user namespace."""
    slot = Slot(number=0, directory=Path("/slot/var"), uid=uid)
    request = driver.request(SandboxSpec(root=ROOT, slot=slot, tmp_mb=1))
    return dict(request["limits"]).get(resource.RLIMIT_NPROC), request.get("processes")


def test_a_uid_of_its_own_limits_the_processes_of_a_sandbox() -> None:
    assert limits(BUBBLEWRAP, 20000) == limits(BARE, 20000) == (MAX, None)


def test_with_a_shared_uid_its_user_namespace_does_and_without_one_nothing() -> None:
    assert limits(BUBBLEWRAP, None) == (None, MAX if counts_by_namespace() else None)
    assert limits(BARE, None) == (None, None)


@pytest.mark.parametrize(
    ("release", "counts"),
    [("5.10.0-8-amd64", False), ("5.14.0", True), ("6.1.0-9-amd64", True), ("6.12.107+deb13-cloud-amd64", True)],
)
def test_a_namespace_counts_its_own_processes_since_linux_5_14(release: str, counts: bool) -> None:
    assert counts_by_namespace(release) is counts
