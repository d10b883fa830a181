"""What an operator grants a workspace counts from the next request on."""

import subprocess
import sys

import httpx

from tests.e2e.gateways.test_people import signed_up
from tests.support.builders import unique
from tests.support.platform import ROOT, Platform


def account(platform: Platform, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command on the platform's own database."""
    data_dir = platform.processes["tidemill"].log.parent / "data"
    return subprocess.run(
        [sys.executable, "-m", "services", "account", "--data-dir", str(data_dir), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_plan_is_given_by_the_operator_and_limits_at_once(platform: Platform) -> None:
    with signed_up(platform, f"{unique('ada')}@example.com") as ada:
        slug = ada.get("/api/workspaces").json()["data"][0]["slug"]
        assert ada.post("/api/projects", json={"name": unique("one")}).status_code == httpx.codes.CREATED

        given = account(platform, "plan", slug, "free")

        assert given.returncode == 0, given.stderr
        refused = ada.post("/api/projects", json={"name": unique("two")})
        assert refused.status_code == httpx.codes.FORBIDDEN
        assert refused.json()["limit"] == 1
        assert ada.get(f"/api/workspaces/{slug}").json()["data"]["plan"]["slug"] == "free"
        assert account(platform, "plan", slug, "pro").returncode == 0
        assert ada.post("/api/projects", json={"name": unique("two")}).status_code == httpx.codes.CREATED


def test_what_cannot_be_granted_is_told(platform: Platform) -> None:
    nobody = account(platform, "plan", unique("nobody"), "free")
    assert nobody.returncode == 2
    assert "no workspace" in nobody.stderr
    assert account(platform, "plan", "default").returncode == 2
    assert account(platform, "plan", "default", "gold").returncode == 2
    assert account(platform, "add", "x", "free").returncode == 2
