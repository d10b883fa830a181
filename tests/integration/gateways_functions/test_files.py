"""The code of functions: uploads and single files (contracts/gateways.md 3.5, 3.6 and 4.5; checks 32 to 38 and 54)."""

import asyncio
import io
import zipfile
from typing import Any
from urllib.parse import quote

import pytest

from shared.packages.package import LIMITS
from tests.integration.gateways_functions.shop import Shop
from tests.support.builders import zipped

pytestmark = pytest.mark.asyncio(loop_scope="session")

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
HANDLER = "exports.handler = async () => 'new'"


async def test_an_upload_replaces_every_file_by_the_text_files_of_the_zip(shop: Shop) -> None:
    number = (await shop.create(handler="api.run"))["id"]

    answer = await shop.upload(number, {"index.js": HANDLER, "utils/h.js": "1", "logo.png": PNG})

    assert answer["message"] == "Function code uploaded successfully"
    assert answer["data"]["count"] == 2
    assert await shop.deployed(number) == {"index.js": HANDLER.encode(), "utils/h.js": b"1"}
    assert await shop.files(number) == ["index.js", "utils/h.js"]
    shown = await shop.read(number)
    assert (shown["status"], shown["code"]) == ("active", None)
    await shop.send("PUT", f"functions/{number}", {"handler": "index.handler"})
    assert (await shop.read(number))["code"] == HANDLER


async def test_what_is_no_zip_of_text_with_safe_paths_is_refused_and_changes_nothing(shop: Shop) -> None:
    number = (await shop.create())["id"]
    before = await shop.deployed(number)
    unsafe = ("../x.js", "/etc/x.js", "C:\\x.js", "a\\..\\b.js", "a/../../b.js", "a//b.js")
    refused: list[bytes] = [b"", b"plain text", zipped({}), zipped({"a.png": PNG}), zipped({"a.js": b"\0"})]

    for content in [*refused, *(zipped({"index.js": "1", path: "2"}) for path in unsafe)]:
        answer = await shop.post_zip(number, content)
        assert answer.status_code == 400, (content, answer.text)
        assert {"error", "message"} <= answer.json().keys()

    assert (await shop.post_zip(number, zipped({"a.js": "1"}), part="other")).status_code == 400
    path = f"{shop.place}/functions/{number}/upload"
    assert (await shop.owner.http.post(path, content=zipped({"a.js": "1"}))).status_code == 400
    assert (await shop.owner.http.post(path)).status_code == 400
    assert await shop.deployed(number) == before
    assert (await shop.read(number))["status"] == "active"
    assert (await shop.upload(number, {"a..b.js": "1"}))["data"]["count"] == 1


async def test_a_bomb_and_a_body_that_is_too_large_are_refused(shop: Shop) -> None:
    number = (await shop.create())["id"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.js", "w") as out:
        for _ in range(256):
            out.write(b"a" * (1 << 20))

    assert (await shop.post_zip(number, buffer.getvalue())).status_code == 400
    answer = await shop.post_zip(number, bytes(LIMITS.compressed_bytes + 100_000))
    assert answer.status_code == 413
    assert await shop.files(number) == ["index.js"]


async def test_a_file_is_made_read_changed_renamed_and_deleted_and_each_time_deployed(shop: Shop) -> None:
    number = (await shop.create())["id"]
    files = f"functions/{number}/files"
    starter = (await shop.deployed(number))["index.js"]

    made = await shop.send("POST", files, {"path": "lib/img.py", "content": "W = 64\n"}, status=201)
    assert made["data"].items() >= {"path": "lib/img.py", "content": "W = 64\n", "size": 7}.items()
    assert (await shop.deployed(number)) == {"index.js": starter, "lib/img.py": b"W = 64\n"}

    read = await shop.get(f"{files}/content?path=lib/img.py")
    assert read["message"] == "Function file retrieved successfully"
    assert (read["data"]["content"], read["data"]["isEntry"]) == ("W = 64\n", False)

    await shop.send("PUT", files, {"path": "lib/img.py", "content": ""})
    assert (await shop.deployed(number))["lib/img.py"] == b""

    renamed = await shop.send("PATCH", f"{files}/rename", {"oldPath": "lib/img.py", "newPath": "lib/image.py"})
    assert (renamed["data"]["oldPath"], renamed["data"]["newPath"]) == ("lib/img.py", "lib/image.py")
    listed = await shop.get(files)
    assert listed["count"] == 2
    assert [(file["path"], file["size"], file["isEntry"]) for file in listed["data"]] == [
        ("index.js", len(starter), True),
        ("lib/image.py", 0, False),
    ]

    deleted = await shop.send("DELETE", f"{files}?path=lib/image.py")
    assert deleted["data"] == {"path": "lib/image.py"}
    assert await shop.deployed(number) == {"index.js": starter}


async def test_a_path_may_stand_behind_files_too(shop: Shop) -> None:
    number = (await shop.create())["id"]
    files = f"functions/{number}/files"
    await shop.send("POST", files, {"path": "lib/a b.js", "content": "1"}, status=201)

    assert (await shop.get(f"{files}/lib/a%20b.js"))["data"]["content"] == "1"
    await shop.send("PUT", f"{files}/lib/a%20b.js", {"content": "2"})
    assert (await shop.get(f"{files}/content?path=lib/a%20b.js"))["data"]["content"] == "2"
    await shop.send("DELETE", f"{files}/lib/a%20b.js")
    assert await shop.files(number) == ["index.js"]
    await shop.get(f"{files}/..%2Fx.js", 400)


@pytest.mark.parametrize("path", ["content/x.js", "rename/x.js", "content/content", "é/ü+%41 ?#.js"])
async def test_any_path_may_stand_behind_files(shop: Shop, path: str) -> None:
    number = (await shop.create())["id"]
    at = f"functions/{number}/files/{quote(path)}"
    await shop.send("POST", f"functions/{number}/files", {"path": path, "content": "1"}, status=201)

    assert (await shop.send("PUT", at, {"content": "2\r\n\ufeffß"}))["data"]["path"] == path
    assert (await shop.get(at))["data"]["content"] == "2\r\n\ufeffß"
    assert (await shop.deployed(number))[path] == "2\r\n\ufeffß".encode()
    await shop.send("DELETE", at)
    assert await shop.files(number) == ["index.js"]


async def test_a_change_that_cannot_be_is_refused_and_changes_nothing(shop: Shop) -> None:
    number = (await shop.create())["id"]
    files = f"functions/{number}/files"
    before = await shop.read(number)
    refused: list[tuple[int, str, str, Any]] = [
        (409, "POST", "", {"path": "index.js", "content": ""}),
        (400, "POST", "", {"path": "../x.js", "content": ""}),
        (400, "POST", "", {"path": "/x.js", "content": ""}),
        (400, "POST", "", {"path": "index.js/x.js", "content": ""}),
        (400, "POST", "", {"path": "x.js", "content": "a\0b"}),
        (400, "POST", "", {"path": "x.js", "content": 1}),
        (400, "POST", "", {"path": "x.js"}),
        (400, "POST", "", {"content": ""}),
        (404, "PUT", "", {"path": "gone.js", "content": ""}),
        (404, "PATCH", "/rename", {"oldPath": "gone.js", "newPath": "a.js"}),
        (400, "PATCH", "/rename", {"oldPath": "index.js", "newPath": "index.js"}),
        (400, "PATCH", "/rename", {"oldPath": "index.js", "newPath": "../a.js"}),
        (404, "DELETE", "?path=gone.js", None),
        (400, "DELETE", "?path=index.js", None),
        (400, "DELETE", "", None),
        (404, "GET", "/content?path=gone.js", None),
        (400, "GET", "/content", None),
    ]

    for status, method, path, body in refused:
        await shop.send(method, files + path, body, status=status)

    assert await shop.read(number) == before


async def test_a_missing_file_is_told_as_one(shop: Shop) -> None:
    number = (await shop.create())["id"]

    assert (await shop.get(f"functions/{number}/files/gone.js", 404))["error"] == "File not found"
    refusal = await shop.send("PUT", f"functions/{number}/files/gone.js", {"content": ""}, status=404)
    assert refusal["error"] == "File not found"


async def test_a_file_that_is_there_already_is_told_as_one(shop: Shop) -> None:
    number = (await shop.create())["id"]
    files = f"functions/{number}/files"
    await shop.send("POST", files, {"path": "x.js", "content": ""}, status=201)

    there = await shop.send("POST", files, {"path": "x.js", "content": ""}, status=409)
    assert (there["error"], "x.js" in there["message"]) == ("File already exists", True)
    taken = await shop.send("PATCH", f"{files}/rename", {"oldPath": "index.js", "newPath": "x.js"}, status=409)
    assert taken["error"] == "File already exists"
    same = await shop.send("PATCH", f"{files}/rename", {"oldPath": "x.js", "newPath": "x.js"}, status=400)
    assert same["error"] == "Invalid request"


async def test_ten_uploads_at_once_leave_one_of_them_whole(shop: Shop) -> None:
    number = (await shop.create())["id"]
    sets = [{f"{name}{index}.js": str(index) for name in "abc"} for index in range(10)]

    answers = await asyncio.gather(*(shop.post_zip(number, zipped(files)) for files in sets))

    assert {answer.status_code for answer in answers} <= {200, 409}
    carried_out = [files for files, answer in zip(sets, answers, strict=True) if answer.status_code == 200]
    left = {path: content.decode() for path, content in (await shop.deployed(number)).items()}
    assert left in carried_out
    assert await shop.files(number) == sorted(left)
    for path, content in left.items():
        assert (await shop.get(f"functions/{number}/files/{path}"))["data"]["content"] == content
    assert (await shop.read(number))["status"] == "active"


async def test_files_written_at_once_are_all_there(shop: Shop) -> None:
    number = (await shop.create())["id"]
    paths = [f"lib/{index}.js" for index in range(8)]

    await asyncio.gather(
        *(shop.send("POST", f"functions/{number}/files", {"path": path, "content": path}, status=201) for path in paths)
    )

    assert await shop.files(number) == ["index.js", *paths]


async def test_of_two_who_make_the_same_file_one_is_told_that_it_is_there(shop: Shop) -> None:
    number = (await shop.create())["id"]
    bodies = [{"path": "x.js", "content": str(index)} for index in range(2)]
    path = f"{shop.place}/functions/{number}/files"

    answers = await asyncio.gather(*(shop.owner.http.post(path, json=body) for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    won = next(index for index, answer in enumerate(answers) if answer.status_code == 201)
    assert (await shop.deployed(number))["x.js"] == str(won).encode()
