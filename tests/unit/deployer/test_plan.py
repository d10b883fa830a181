"""From what is observed to what is desired: plans are values, compared as such."""

from dataclasses import replace

import pytest

from services.deployer.planning import plan
from services.deployer.providers.local import LocalProvider
from services.deployer.providers.provider import (
    ActivateVersion,
    CheckSyntax,
    Desired,
    FindProgram,
    Observed,
    Plan,
    StorePackage,
    ValidatePackage,
)
from shared.domain.errors import InternalError
from shared.domain.function import Convention, VersionSpec
from shared.packages.store import no_package

SPEC = VersionSpec(runtime="node18", convention=Convention.NEO, handler="index.handler", timeout_s=30, memory_mb=128)
LAMBDA = replace(SPEC, convention=Convention.LAMBDA)
PROGRAM = replace(LAMBDA, runtime="provided.al2023")
NEW, OLD = "a" * 64, "b" * 64
UPLOADED = Desired(function_id="func_1", spec=LAMBDA, package_sha256=NEW, uploaded=True)
WRITTEN = Desired(function_id="func_1", spec=SPEC, package_sha256=NEW, source="é", content=b"zip")
NOTHING = Observed(active_sha256=None, stored=False)
STORED = Observed(active_sha256=OLD, stored=True, active_runtime="node18")


class NoStore:
    """Planning touches nothing."""

    async def put(self, content: bytes) -> str:
        raise AssertionError(f"{len(content)} bytes were put while planning")

    async def get(self, sha256: str) -> bytes:
        raise no_package(sha256)

    async def renew(self, sha256: str) -> bool:
        raise AssertionError(f"{sha256} was looked for while planning")

    async def delete(self, sha256: str) -> None:
        raise AssertionError(f"{sha256} was deleted while planning")


PROVIDER = LocalProvider(NoStore())


@pytest.mark.parametrize(
    ("desired", "observed", "steps"),
    [
        pytest.param(
            WRITTEN,
            NOTHING,
            (CheckSyntax(runtime="node18", size_bytes=2), StorePackage(sha256=NEW, size_bytes=3)),
            id="new source is checked, then stored",
        ),
        pytest.param(
            WRITTEN, STORED, (CheckSyntax(runtime="node18", size_bytes=2),), id="stored is not the same as checked"
        ),
        pytest.param(
            replace(WRITTEN, spec=LAMBDA), STORED, (), id="the syntax of other conventions is the runtime's matter"
        ),
        pytest.param(UPLOADED, STORED, (ValidatePackage(sha256=NEW),), id="an upload is judged"),
        pytest.param(UPLOADED, Observed(active_sha256=NEW, stored=True), (), id="what is active was judged before"),
        pytest.param(WRITTEN, replace(STORED, active_sha256=NEW), (), id="so was active source"),
        pytest.param(
            WRITTEN,
            Observed(active_sha256=NEW, stored=True, active_runtime="node16"),
            (CheckSyntax(runtime="node18", size_bytes=2),),
            id="but not for another runtime",
        ),
        pytest.param(replace(UPLOADED, uploaded=False), STORED, (), id="a change of configuration alone"),
        pytest.param(
            replace(UPLOADED, spec=PROGRAM),
            STORED,
            (ValidatePackage(sha256=NEW), FindProgram(sha256=NEW, runtime="provided.al2023")),
            id="a runtime that runs the package's program needs one",
        ),
        pytest.param(
            replace(UPLOADED, spec=PROGRAM, uploaded=False),
            Observed(active_sha256=NEW, stored=True, active_runtime="nodejs20.x"),
            (FindProgram(sha256=NEW, runtime="provided.al2023"),),
            id="also when only the runtime changes",
        ),
        pytest.param(
            replace(UPLOADED, spec=PROGRAM, uploaded=False),
            Observed(active_sha256=NEW, stored=True, active_runtime="provided.al2023"),
            (),
            id="and not again when it was found",
        ),
    ],
)
def test_the_plan_does_what_is_missing_and_no_more(
    desired: Desired, observed: Observed, steps: tuple[object, ...]
) -> None:
    assert plan(desired, observed, PROVIDER) == Plan(steps=steps, activation=ActivateVersion(package_sha256=NEW))  # type: ignore[arg-type] # any steps


def test_an_upload_that_the_store_lost_is_our_fault() -> None:
    with pytest.raises(InternalError, match="not in the package store"):
        plan(UPLOADED, NOTHING, PROVIDER)


def test_a_plan_can_be_printed() -> None:
    text = str(plan(WRITTEN, NOTHING, PROVIDER))

    assert "CheckSyntax(runtime='node18', size_bytes=2), StorePackage(sha256='aaa" in text
    assert "activation=ActivateVersion(package_sha256='aaa" in text
