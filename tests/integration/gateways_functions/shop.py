"""Somebody with a project, and the functions they make in it over HTTP."""

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import httpx

from shared.database import cloud_connections
from shared.database.pool import Database
from shared.domain.ids import new_record_id
from shared.domain.placement import AWS
from tests.integration.api.harness import Running
from tests.integration.api_gateways.people import Citizen, Town
from tests.support.builders import unique, zipped
from tests.support.fake_aws import ACCOUNT, EXTERNAL_ID, ROLE

NODE = {"runtime": "nodejs20.x", "handler": "index.handler", "region": "eu-west-1"}
SEED = {"name": "thumbs", "architecture": "arm64", "runtime": "python3.12", "handler": "lambda_function.lambda_handler"}


@dataclass(kw_only=True)
class Shop:
    """One person's first project; ``place`` is the path of its environment."""

    api: Running
    town: Town
    owner: Citizen
    place: str

    @property
    def db(self) -> Database:
        return self.api.db

    async def create(self, name: str | None = None, *, status: int = 201, **fields: Any) -> Any:
        """Make a function; return what is told of it, or the whole answer of a refusal."""
        body = {**NODE, "name": name or unique("fn"), **fields}
        answer = await self.send("POST", "functions", body, status=status)
        return answer["data"] if status == 201 else answer

    async def send(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """Send a request about the environment; the answer must have this status."""
        return await self.owner.send(method, f"{self.place}/{path}", body, status=status)

    async def get(self, path: str, status: int = 200) -> Any:
        return await self.send("GET", path, status=status)

    async def read(self, number: int) -> Any:
        return (await self.get(f"functions/{number}"))["data"]

    async def files(self, number: int) -> list[str]:
        """Return the paths of a function's files."""
        return [file["path"] for file in (await self.get(f"functions/{number}/files"))["data"]]

    async def post_zip(self, number: int, content: bytes, part: str = "file") -> httpx.Response:
        """Upload bytes as the ZIP of a function."""
        path = f"{self.place}/functions/{number}/upload"
        return await self.owner.http.post(path, files={part: ("code.zip", content)})

    async def upload(self, number: int, files: dict[str, str | bytes], *, status: int = 200) -> Any:
        """Upload files; the answer must have this status."""
        answer = await self.post_zip(number, zipped(files))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def deployed(self, number: int) -> dict[str, bytes]:
        """Return the files of the package that runs."""
        sha256 = await self.db.fetchval(
            """
            SELECT v.package_sha256 FROM functions f JOIN function_versions v ON v.id = f.active_version_id
            WHERE f.number = $1
            """,
            number,
        )
        content = await self.api.api.platform.packages.get(sha256)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


async def open_shop(api: Running, town: Town) -> Shop:
    """Let somebody sign up and make a project, which is on this installation."""
    owner = await town.citizen()
    project = await owner.project()
    project_id, account_id = await ids_of(api, project)
    local = await cloud_connections.ensure_local(api.db, account_id)
    await cloud_connections.link(api.db, project_id, local.id)
    return Shop(api=api, town=town, owner=owner, place=f"/api/{project}/master")


async def link_to_aws(shop: Shop) -> None:
    """Link the project to the account of the fake AWS."""
    project_id, account_id = await ids_of(shop.api, shop.place.split("/")[2])
    connection_id = new_record_id()
    await cloud_connections.insert_pending(
        shop.db,
        connection_id=connection_id,
        account_id=account_id,
        provider=AWS,
        region="eu-west-1",
        sealed=await shop.api.api.platform.envelope.seal(EXTERNAL_ID.encode(), connection_id),
    )
    await cloud_connections.complete(shop.db, connection_id, name="Prod", cloud_account_id=ACCOUNT, role_arn=ROLE)
    await cloud_connections.link(shop.db, project_id, connection_id)


async def ids_of(api: Running, project: str) -> tuple[str, str]:
    """Return the ids of a project and of its account."""
    row = await api.db.fetchrow("SELECT id, account_id FROM projects WHERE slug = $1", project)
    assert row is not None
    return row["id"], row["account_id"]
