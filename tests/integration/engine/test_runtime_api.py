"""The Runtime API as a program meets it: what is asked in turn, out of turn, too often, and what is no question."""

import asyncio
import io
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import pytest

from services.invoker.sandbox.frames import Frame, ProtocolError, encode
from services.invoker.sandbox.runtime_api import RuntimeApi
from tests.support.eventually import eventually

LIMIT = 100_000
RUNTIME = "/2018-06-01/runtime"
NEXT = f"{RUNTIME}/invocation/next"


@dataclass
class Worker:
    """What a worker makes of the API: frames in, frames out."""

    api: RuntimeApi
    frames: list[Frame] = field(default_factory=list)
    nonsense: int = 0

    def load(self) -> None:
        self.api.write(encode({"t": "load"}, b'{"function_arn": "arn:of:it"}'))

    def run(self, request_id: str = "first", event: bytes = b"{}", **header: Any) -> None:
        self.api.write(encode({"t": "run", "id": request_id, "ms": 3000, **header}, event))

    def take(self, frame: Frame) -> None:
        if frame.type == "refuse":
            raise ProtocolError("never")
        self.frames.append(frame)

    def misbehaved(self) -> None:
        self.nonsense += 1

    @property
    def kinds(self) -> list[str]:
        return [frame.type for frame in self.frames]


@dataclass
class Side:
    """Both sides: the worker's, and a program's client."""

    worker: Worker
    client: aiohttp.ClientSession
    address: tuple[str, int]

    async def next(self) -> tuple[dict[str, str], bytes]:
        async with self.client.get(NEXT) as answer:
            assert answer.status == 200
            return dict(answer.headers), await answer.read()

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        async with self.client.request(method, path, data=io.BytesIO(body), headers=headers) as answer:
            return answer.status, json.loads(await answer.read())

    async def answer(self, body: bytes = b"1", request_id: str = "first", how: str = "response", **headers: str) -> int:
        return (await self.ask("POST", f"{RUNTIME}/invocation/{request_id}/{how}", body, **headers))[0]


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    """Return an API that is served and a client of it; the worker has asked for the function to be loaded."""
    taken: list[Frame] = []
    worker = Worker(None, taken)  # type: ignore[arg-type] # set on the next line
    worker.api = RuntimeApi(LIMIT, on_frame=worker.take, on_nonsense=worker.misbehaved)
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    worker.api.listen(listener)
    await worker.api.open()
    worker.load()
    async with aiohttp.ClientSession(f"http://{address[0]}:{address[1]}") as client:
        yield Side(worker, client, address)
    worker.api.close()


async def test_the_first_question_ends_the_start_and_an_event_is_the_answer(side: Side) -> None:
    asked = asyncio.ensure_future(side.next())  # noqa: TID251
    await eventually(lambda: side.worker.kinds == ["loaded"])
    assert not asked.done()

    side.worker.run(event=b'{"who":"Bo"}')
    headers, body = await asked

    assert body == b'{"who":"Bo"}'
    assert headers["Lambda-Runtime-Aws-Request-Id"] == "first"
    assert headers["Lambda-Runtime-Invoked-Function-Arn"] == "arn:of:it"
    assert headers["Lambda-Runtime-Trace-Id"].startswith("Root=1-")
    assert headers["Content-Type"] == "application/json"
    assert abs(int(headers["Lambda-Runtime-Deadline-Ms"]) / 1000 - time.time() - 3) < 1


async def test_an_event_may_name_the_function_it_is_for(side: Side) -> None:
    side.worker.run(c={"invoked_function_arn": "arn:of:alias"})

    headers, _ = await side.next()

    assert headers["Lambda-Runtime-Invoked-Function-Arn"] == "arn:of:alias"


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (b'{"ok":true}', "done", b'{"ok":true}'),
        (b" [1, 2]\n", "done", b"[1, 2]"),
        (b'"\xc3\xa9"', "done", b'"\xc3\xa9"'),
        (b'"\\ud800"', "done", b'"\\ud800"'),
        (b"", "done", b"null"),
        (b"  \n", "done", b"null"),
        (b"plain", "raised", b"Runtime.MarshalError"),
        (b"\xff\xfe", "raised", b"Runtime.MarshalError"),
        (b"{} {}", "raised", b"Runtime.MarshalError"),
        (b"NaN", "raised", b"Runtime.MarshalError"),
        ("[1]".encode("utf-16"), "raised", b"Runtime.MarshalError"),
        (b"[" * 90_000, "raised", b"Runtime.MarshalError"),
    ],
)
async def test_a_response_is_the_result_if_it_is_json(side: Side, body: bytes, kind: str, told: bytes) -> None:
    side.worker.run()
    await side.next()

    assert await side.answer(body) == 202

    frame = side.worker.frames[-1]
    assert (frame.type, frame.header["id"]) == (kind, "first")
    assert frame.header["ms"] > 0
    assert ("u" in frame.header) == (not body.strip())
    assert told == frame.body if kind == "done" else told in frame.body


async def test_chunked_responses_and_those_announced_first_are_taken(side: Side) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"[1", b",", b"2]"):
            yield piece

    side.worker.run()
    await side.next()
    async with side.client.post(f"{RUNTIME}/invocation/first/response", data=pieces(), expect100=True) as answer:
        assert answer.status == 202

    assert side.worker.frames[-1].body == b"[1,2]"


@pytest.mark.parametrize(
    ("size", "status", "kind"), [(LIMIT, 202, "done"), (LIMIT + 1, 413, "large"), (LIMIT * 40, 413, "large")]
)
async def test_the_limit_of_a_response_is_exact(side: Side, size: int, status: int, kind: str) -> None:
    side.worker.run()
    await side.next()
    try:
        answered = await side.answer(b'"' + b"x" * (size - 2) + b'"')
    except aiohttp.ClientError:
        answered = 413  # so far too large that nobody read it to its end

    assert answered == status
    assert side.worker.kinds[-1] == kind
    if kind == "large":
        assert side.worker.frames[-1].header["size"] > LIMIT
    side.worker.run("second")
    assert (await side.next())[0]["Lambda-Runtime-Aws-Request-Id"] == "second"


@pytest.mark.parametrize(
    ("body", "header", "told"),
    [
        ({"errorType": "Own", "errorMessage": "mine", "stackTrace": ["a", "b"]}, "", ("Own", "mine", "a\nb")),
        ({"errorMessage": "mine", "stackTrace": [{"line": 3}]}, "Of.Header", ("Of.Header", "mine", '{"line":3}')),
        ({"errorType": "Own", "stackTrace": "no list"}, "", ("Unhandled", None, "")),
        ([1], "Of.Header", ("Of.Header", "[1]", "")),
        ("text", "", ("Unhandled", "text", "")),
        ({"errorType": "x" * 5000, "errorMessage": "y" * 200_000}, "", ("x" * 1024, "y" * 131_072, "")),
    ],
)
async def test_an_error_is_told_by_type_message_and_trace(
    side: Side, body: object, header: str, told: tuple[str, str | None, str]
) -> None:
    side.worker.run()
    await side.next()
    sent = body.encode() if isinstance(body, str) else orjson.dumps(body)
    headers = {"Lambda-Runtime-Function-Error-Type": header} if header else {}

    assert await side.answer(sent, how="error", **headers) == 202

    frame = side.worker.frames[-1]
    found = orjson.loads(frame.body)
    assert frame.type == "raised"
    assert (found["name"], found["stack"]) == (told[0], told[2])
    assert told[1] is None or found["message"] == told[1]


async def test_a_start_may_fail_and_is_over_then(side: Side) -> None:
    body = orjson.dumps({"errorType": "No.Luck", "errorMessage": "not today"})

    assert (await side.ask("POST", f"{RUNTIME}/init/error", body))[0] == 202
    await eventually(lambda: side.worker.kinds == ["raised"])
    assert orjson.loads(side.worker.frames[0].body)["name"] == "No.Luck"
    assert (await side.ask("POST", f"{RUNTIME}/init/error", body))[0] == 403


async def test_what_comes_out_of_turn_is_refused_and_changes_nothing(side: Side) -> None:
    assert await side.answer() == 403
    side.worker.run()
    await side.next()

    assert (await side.ask("GET", NEXT))[0] == 403
    assert (await side.ask("POST", f"{RUNTIME}/init/error", b"{}"))[0] == 403
    assert await side.answer(request_id="another") == 400
    assert await side.answer(b"7") == 202
    assert await side.answer(b"8") == 403
    assert [frame.body for frame in side.worker.frames if frame.type == "done"] == [b"7"]


async def test_only_the_newest_question_for_an_event_is_answered_with_it(side: Side) -> None:
    older = asyncio.ensure_future(side.ask("GET", NEXT))  # noqa: TID251
    await eventually(lambda: side.worker.kinds == ["loaded"])
    newer = asyncio.ensure_future(side.next())  # noqa: TID251
    status, told = await older

    side.worker.run()

    assert (status, told["errorType"]) == (403, "InvalidStateTransition")
    assert (await newer)[0]["Lambda-Runtime-Aws-Request-Id"] == "first"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", NEXT, 405), ("GET", f"{RUNTIME}/init/error", 405), ("PUT", f"{RUNTIME}/invocation/a/response", 405),
        ("GET", "/", 404), ("GET", "/2020-01-01/extension/register", 404), ("POST", f"{RUNTIME}/restore/error", 404),
        ("POST", f"{RUNTIME}/invocation/a/b/response", 404), ("POST", f"{RUNTIME}/invocation//response", 404),
    ],
)  # fmt: skip
async def test_there_is_nothing_else(side: Side, method: str, path: str, status: int) -> None:
    assert (await side.ask(method, path))[0] == status


async def test_who_no_longer_waits_gets_no_event_and_loses_none(side: Side) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await side.next()
    await eventually(lambda: side.worker.api._waiting is None)

    side.worker.run()
    assert side.worker.api.unread
    await side.next()

    assert not side.worker.api.unread


async def test_who_asks_to_no_purpose_is_ended(side: Side) -> None:
    for _ in range(1100):
        await side.ask("GET", "/")

    assert side.worker.nonsense > 0


async def test_connections_are_few(side: Side) -> None:
    opened = [await asyncio.open_connection(*side.address) for _ in range(20)]
    await asyncio.sleep(0)
    closed = 0
    for reader, _ in opened:
        try:
            async with asyncio.timeout(0.2):
                closed += await reader.read(1) == b""
        except TimeoutError:
            continue
        except ConnectionResetError:
            closed += 1
    for _, writer in opened:
        writer.close()

    assert closed == 12
    side.worker.run()
    await eventually(side.next)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["no http", "many headers", "long path", "long header", "negative length"],
)  # fmt: skip
async def test_what_is_not_http_costs_its_connection_only(
    side: Side, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection(*side.address)
    writer.write(sent)
    async with asyncio.timeout(5):
        answered = await reader.read()
    writer.close()

    assert answered == b"" or b" 400 " in answered.splitlines()[0]
    assert not caplog.records
    side.worker.run()
    await side.next()


async def test_only_processes_of_the_right_user_are_served() -> None:
    worker = Worker(None)  # type: ignore[arg-type] # set on the next line
    worker.api = RuntimeApi(LIMIT, on_frame=worker.take, on_nonsense=worker.misbehaved)
    listener = socket.create_server(("127.0.0.1", 0))
    worker.api.listen(listener, peer_uid=12345)
    await worker.api.open()
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        try:
            answered = await reader.read()
        except ConnectionResetError:
            answered = b""
        writer.close()
    finally:
        worker.api.close()

    assert answered == b""


async def test_closing_drops_whoever_waits(side: Side) -> None:
    waiting = asyncio.ensure_future(side.next())  # noqa: TID251
    await eventually(lambda: side.worker.kinds == ["loaded"])

    side.worker.api.close()

    with pytest.raises(aiohttp.ClientError):
        await waiting
    with pytest.raises(BrokenPipeError):
        side.worker.run()
    side.worker.api.close()
