"""
Functions as tests make them: packages, bodies of both dialects, names nobody else uses, and their removal.

``Functions`` creates through the public API and deletes whatever it created, so that a platform shared by many
tests stays below its quota and no test sees another's functions.
"""

import base64
import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

NODE = "nodejs20.x"
PYTHON = "python3.12"

_numbers = itertools.count(1)


def unique(stem: str) -> str:
    """Return a function name no other test of this run uses."""
    return f"{stem}-{next(_numbers)}"


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """Return files as the bytes of a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


def zipped_directories(*directories: Path) -> bytes:
    """Return the files below some directories as one zip, each path relative to its directory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for directory in directories:
            for path in sorted(directory.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.write(path, path.relative_to(directory).as_posix())
    return buffer.getvalue()


def api_function(name: str, package: bytes, **fields: Any) -> dict[str, Any]:
    """Return the Extra Horizon body that creates an API function from a zip."""
    return {
        "name": name,
        "code": base64.b64encode(package).decode(),
        "entryPoint": "index.handler",
        "runtime": NODE,
        **fields,
    }


def neo_function(name: str, code: str, **fields: Any) -> dict[str, Any]:
    """Return the Neo body that creates a function from its source."""
    return {"name": name, "runtime": "node18", "code": code, **fields}


def permission_mode(mode: str) -> dict[str, Any]:
    """Return the field that says who may call an API function."""
    return {"executionOptions": {"permissionMode": mode}}


@dataclass(kw_only=True)
class Functions:
    """Creates functions through a Neo and an Extra Horizon client, and remembers them."""

    neo: httpx.Client
    exh: httpx.Client
    _created: list[str] = field(default_factory=list)

    def create_neo(self, code: str, **fields: Any) -> str:
        """Create a Neo function; return its name."""
        name = unique("neo")
        answer = self.neo.post("/v1/functions", json=neo_function(name, code, **fields))
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self._created.append(name)
        return name

    def create_node(self, code: str, **fields: Any) -> str:
        """Create an API function from one JavaScript file; return its name."""
        return self.create_package(zipped({"index.js": code}), **fields)

    def create_python(self, code: str, **fields: Any) -> str:
        """Create an API function from one Python file; return its name."""
        return self.create_package(zipped({"index.py": code}), runtime=PYTHON, **fields)

    def create_package(self, package: bytes, **fields: Any) -> str:
        """Create an API function from a zip; return its name."""
        name = unique("api")
        answer = self.exh.post("/tasks/v1/functions/", json=api_function(name, package, **fields))
        assert answer.status_code == httpx.codes.OK, answer.text
        self._created.append(name)
        return name

    def call(self, name: str, path: str = "/", method: str = "GET", **request: Any) -> httpx.Response:
        """Call an API function as the administrator."""
        return self.exh.request(method, f"/tasks/v1/api/{name}{path}", **request)

    def invoke(self, name: str, params: Any = None, **body: Any) -> httpx.Response:
        """Invoke a function through Neo."""
        given = {} if params is None else {"params": params}
        return self.neo.post(f"/v1/functions/{name}/invoke", json={**given, **body})

    def execution(self, name: str, execution_id: str) -> dict[str, Any]:
        """Return one execution."""
        answer = self.neo.get(f"/v1/functions/{name}/executions/{execution_id}")
        assert answer.status_code == httpx.codes.OK, answer.text
        record: dict[str, Any] = answer.json()["data"]
        return record

    def requests(self, name: str) -> list[dict[str, Any]]:
        """Return the newest API requests of a function, newest first."""
        answer = self.exh.get(f"/tasks/v1/apiRequests?eq(functionName,{name})&sort(-timestamp)&limit(50)")
        assert answer.status_code == httpx.codes.OK, answer.text
        records: list[dict[str, Any]] = answer.json()["data"]
        return records

    def request_logs(self, request_id: str) -> list[str]:
        """Return the log messages of an API request, oldest first; none when the platform says there are none."""
        answer = self.exh.get(f"/tasks/v1/apiRequests/{request_id}/logs")
        if answer.status_code == httpx.codes.BAD_REQUEST:
            return []
        assert answer.status_code == httpx.codes.OK, answer.text
        return [line["message"] for line in answer.json()["data"]]

    def delete_all(self) -> None:
        """Delete what was created and is still there."""
        for name in self._created:
            answer = self.neo.delete(f"/v1/functions/{name}")
            assert answer.status_code in {httpx.codes.OK, httpx.codes.NOT_FOUND}, answer.text
        self._created.clear()


@contextmanager
def functions_on(neo: httpx.Client, exh: httpx.Client) -> Iterator[Functions]:
    """Give a ``Functions`` whose functions are gone afterwards."""
    functions = Functions(neo=neo, exh=exh)
    try:
        yield functions
    finally:
        functions.delete_all()
