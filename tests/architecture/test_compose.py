"""What ``docker-compose.yml`` promises: no secrets, any number of invokers, every setting within reach."""

import json
import re
from typing import Any

import pytest
import yaml

from shared.process.settings import Settings
from shared.process.variables import variables
from tests.architecture.files import ROOT, read

COMPOSE: dict[str, Any] = yaml.safe_load(read(ROOT / "docker-compose.yml"))
OURS = ["api", "deployer", "invoker", "logger", "migrate"]
# Decided by the image: inside a container there is nothing to choose.
FIXED_BY_THE_IMAGE = {"TIDEMILL_HOST", "TIDEMILL_PORT", "TIDEMILL_DATA_DIR"}


def test_the_file_holds_no_secret() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service["environment"].items():
            if re.search("PASS|SECRET|KEY|_URL", name) and value is not None:
                assert re.search(r"\$\{[A-Z]+_PASSWORD:\?.*see \.env\.example\}", value), name


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_privilege_and_can_be_many(name: str) -> None:
    service = COMPOSE["services"][name]

    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges" in service["security_opt"]
    assert service["read_only"] is True
    assert "container_name" not in service
    assert ("ports" in service) == (name == "api")


def test_every_setting_reaches_a_container() -> None:
    reachable = {name for service in COMPOSE["services"].values() for name in service["environment"]}

    assert {variable.name for _, variable in variables(Settings)} - reachable == FIXED_BY_THE_IMAGE


def test_everything_that_stays_has_a_health_check() -> None:
    for name, service in COMPOSE["services"].items():
        check = service["healthcheck"]
        if name == "migrate":
            assert check == {"disable": True}
        else:
            assert ("/ready" in check["test"][-1]) == (name in OURS), name


def test_what_is_kept_is_kept_under_a_name() -> None:
    # A volume without a name is left behind, full, by every `docker compose down`.
    volumes = [each for service in COMPOSE["services"].values() for each in service.get("volumes", ())]

    assert {each.partition(":")[0] for each in volumes} == set(COMPOSE["volumes"])
    assert "VOLUME" not in read(ROOT / "Dockerfile")


def test_the_seccomp_profile_allows_what_sandboxes_are_made_of() -> None:
    profile = json.loads(read(ROOT / "deploy" / "seccomp.json"))
    refused = {name for rule in profile["syscalls"] for name in rule["names"]}

    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    assert refused.isdisjoint({"clone", "unshare", "setns", "mount", "umount2", "pivot_root", "seccomp", "prctl"})
    assert {"bpf", "kexec_load", "init_module", "keyctl", "open_by_handle_at"} <= refused
