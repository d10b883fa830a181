"""The script that installs the real Node.js 16 and 18, in environments of its own."""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.architecture.files import ROOT

SOURCES = ROOT / "requirements" / "node"
INSTALLED = Path(sys.prefix) / "node"
NOWHERE = {"npm_config_registry": "http://127.0.0.1:9/"}
VERSIONS = {"16": "16.20.2", "18": "18.20.8"}


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment with nothing in it but a way to the wheels of this one."""
    made = tmp_path / "environment"
    venv.create(made, symlinks=True)
    (library,) = (made / "lib").glob("python*/site-packages")
    (library / "wheels.pth").write_text(f"{next(path for path in sys.path if path.endswith('site-packages'))}\n")
    return made


class Registry(BaseHTTPRequestHandler):
    """A registry that has every package in every version asked for here, each with something else in it."""

    def do_GET(self) -> None:
        if self.path.endswith(".tgz"):
            body = b"this is no Node.js"
        else:
            host, name = self.headers["Host"], self.path.strip("/")
            archive = {"tarball": f"http://{host}/{name}.tgz"}
            versions = {exact: {"name": name, "version": exact, "dist": archive} for exact in VERSIONS.values()}
            body = json.dumps({"name": name, "dist-tags": {}, "versions": versions}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def install(environment: Path, environ: Mapping[str, str], script: Path = SOURCES / "install.py") -> tuple[int, str]:
    run = subprocess.run(
        [environment / "bin" / "python", script],
        env={"HOME": str(environment), "PATH": os.defpath, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.returncode, run.stdout + run.stderr


def version(program: Path) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout.strip()


def test_this_environment_has_the_versions_of_the_lock() -> None:
    assert {major: version(INSTALLED / major / "node") for major in VERSIONS} == {
        major: f"v{exact}" for major, exact in VERSIONS.items()
    }


def test_what_is_there_is_not_fetched_again(environment: Path) -> None:
    for major in VERSIONS:
        shutil.copytree(INSTALLED / major, environment / "node" / major, copy_function=os.link)

    assert install(environment, NOWHERE) == (0, "")


def test_without_a_network_it_fails_in_one_line_and_leaves_nothing(environment: Path) -> None:
    code, said = install(environment, NOWHERE)

    assert code == 1
    assert said.splitlines()[-1].startswith("tidemill: the real Node.js 16 and 18 cannot be installed: npm failed: ")
    assert "ECONNREFUSED" in said
    assert [path.name for path in (environment / "node").iterdir()] == [".lock"]


def test_a_download_that_is_not_what_the_lock_names_is_refused(environment: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        code, said = install(environment, {"npm_config_registry": f"http://127.0.0.1:{server.server_port}/"})
        server.shutdown()
        thread.join()

    assert code == 1
    assert "EINTEGRITY" in said
    assert not (environment / "node" / "16").exists()
