"""Bad input: a clear error in the dialect's own shape, the field named, nothing half done."""

import base64
import io
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.builders import Functions, api_function, neo_function, permission_mode, unique, zipped
from tests.support.platform import API_KEY, Platform

FINE = "module.exports = () => 1"
JSON_TYPE = {"Content-Type": "application/json"}


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Return what a Neo refusal says: status, code, field."""
    body = answer.json()
    assert body["success"] is False
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"], body["error"].get("details", {}).get("field")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b'"text"', b'{"name": "\xff\xfe"}', b"\xef\xbb\xbf{", b"{'a': 1}", b'{"a": NaN}']
)
def test_a_neo_body_that_is_no_json_object_is_an_invalid_request(neo: httpx.Client, body: bytes) -> None:
    answer = neo.post("/v1/functions", content=body, headers=JSON_TYPE)

    assert refusal(answer)[:2] == (400, "invalid_request")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "has space"),
        ("name", "under_score"),
        ("name", ""),
        ("name", "x" * 65),
        ("name", 7),
        ("runtime", "node99"),
        ("runtime", None),
        ("timeout", 0),
        ("timeout", 301),
        ("timeout", 1.5),
        ("timeout", "30"),
        ("timeout", True),
        ("environment", {"A": 1}),
        ("environment", {"not a name": "x"}),
        ("environment", ["A"]),
        ("tags", "one"),
        ("tags", [1]),
        ("secrets", {"a": "b"}),
        ("description", 5),
        ("code", 5),
    ],
)
def test_a_bad_neo_field_is_named_and_nothing_is_created(neo: httpx.Client, field: str, value: Any) -> None:
    name = unique("bad")

    answer = neo.post("/v1/functions", json={**neo_function(name, FINE), field: value})

    assert refusal(answer) == (400, "invalid_request", field)
    assert neo.get(f"/v1/functions/{name}").status_code == 404


@pytest.mark.parametrize("field", ["name", "code", "runtime"])
def test_a_missing_neo_field_is_named(neo: httpx.Client, field: str) -> None:
    body = neo_function(unique("bad"), FINE)
    del body[field]

    assert refusal(neo.post("/v1/functions", json=body)) == (400, "invalid_request", field)


@pytest.mark.parametrize(
    "code", ["module.exports = () => {", "}); evil(); (function(){", "export default 1", "x" * 100_001]
)
def test_code_that_does_not_compile_is_refused_with_its_reason(neo: httpx.Client, code: str) -> None:
    name = unique("bad")

    answer = neo.post("/v1/functions", json=neo_function(name, code))

    assert refusal(answer)[:2] == (400, "invalid_function_code")
    assert neo.get(f"/v1/functions/{name}").status_code == 404


def test_a_syntax_error_names_its_line(neo: httpx.Client) -> None:
    answer = neo.post("/v1/functions", json=neo_function(unique("bad"), "const fine = 1\n  return {;\n"))

    details = answer.json()["error"]["details"]
    assert (details["name"], details["line"]) == ("SyntaxError", 2)
    assert "/function/index.js:2" in details["stack"]


def test_a_taken_name_is_a_conflict(neo: httpx.Client, functions: Functions) -> None:
    name = functions.create_neo(FINE)

    assert refusal(neo.post("/v1/functions", json=neo_function(name, FINE)))[:2] == (409, "conflict")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=-1", "limit=x", "offset=-1", "sort=size", "order=up"])
def test_a_bad_query_parameter_is_named(neo: httpx.Client, query: str) -> None:
    assert refusal(neo.get(f"/v1/functions?{query}")) == (400, "invalid_request", query.partition("=")[0])


@pytest.mark.parametrize("body", [{"params": []}, {"params": "x"}, {"params": {}, "async": "yes"}])
def test_a_bad_invocation_is_refused_before_it_runs(
    neo: httpx.Client, functions: Functions, body: dict[str, Any]
) -> None:
    name = functions.create_neo(FINE)

    assert refusal(neo.post(f"/v1/functions/{name}/invoke", json=body))[:2] == (400, "invalid_request")
    assert neo.get(f"/v1/functions/{name}/executions").json()["pagination"]["total"] == 0


def test_an_invocation_over_its_size_is_refused_and_the_connection_survives(
    neo: httpx.Client, functions: Functions
) -> None:
    name = functions.create_neo(FINE)

    answer = functions.invoke(name, {"filler": "x" * (1 << 20)})

    assert answer.status_code in {400, 413}
    assert answer.json()["error"]["code"] == "invalid_request"
    assert functions.invoke(name).status_code == 200


@pytest.mark.parametrize(
    ("code", "error_name"),
    [
        ("module.exports = () => 10n", "TypeError"),
        ("module.exports = () => { const a = {}; a.a = a; return a }", "TypeError"),
        ("module.exports = () => () => 1", "TypeError"),
        ("module.exports = 5", "TypeError"),
        ("module.exports = () => { throw 'text' }", "Error"),
        ("module.exports = () => 'x'.repeat(2 << 20)", "ResultTooLargeError"),
    ],
)
def test_a_result_that_is_not_json_is_the_functions_failure(functions: Functions, code: str, error_name: str) -> None:
    name = functions.create_neo(code)

    answer = functions.invoke(name)

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "execution_error")
    assert answer.json()["error"]["details"]["name"] == error_name


def test_a_python_result_that_is_not_json_is_told(functions: Functions) -> None:
    name = functions.create_python("def handler(event, context):\n    return {'statusCode': 200, 'body': object()}\n")

    answer = functions.call(name)

    assert (answer.status_code, answer.json()["code"]) == (400, 1406)
    assert answer.json()["runtimeError"]["name"] == "Runtime.MarshalError"


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"X-API-Key": "sl_" + "0" * 64}, 401), ({"X-API-Key": "nonsense"}, 401)]
)
def test_no_key_or_a_wrong_one_is_unauthorized_everywhere(
    anonymous: httpx.Client, headers: dict[str, str], status: int
) -> None:
    for method, path in (("GET", "/v1/functions"), ("POST", "/v1/functions/x/invoke"), ("DELETE", "/v1/functions/x")):
        answer = anonymous.request(method, path, headers=headers)

        assert refusal(answer)[:2] == (status, "unauthorized")


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", 13), (b"{", 22), (b'{"name": "\xff"}', 22), (b"{}", 14)],
)
def test_an_extra_horizon_body_that_cannot_be_read_is_told_apart(exh: httpx.Client, body: bytes, code: int) -> None:
    answer = exh.post("/tasks/v1/functions/", content=body, headers=JSON_TYPE)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("timeLimit", 2, 15),
        ("timeLimit", 301, 15),
        ("timeLimit", "30", 15),
        ("memoryLimit", 64, 15),
        ("runtime", "cobol85", 15),
        ("executionOptions", {"permissionMode": "friends"}, 15),
        ("environmentVariables", {"A": "no object"}, 15),
        ("environmentVariables", {"A": {"value": "x" * 5000}}, 1402),
        ("name", "no spaces", 1407),
        ("code", "not base64!", 1401),
        ("code", base64.b64encode(b"no zip").decode(), 1401),
        ("code", base64.b64encode(zipped({})).decode(), 1401),
    ],
)
def test_a_bad_extra_horizon_field_is_named_and_nothing_is_created(
    exh: httpx.Client, neo: httpx.Client, field: str, value: Any, code: int
) -> None:
    name = unique("bad")
    body = {**api_function(name, zipped({"index.js": FINE})), field: value}

    answer = exh.post("/tasks/v1/functions/", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    if code == 15:
        assert field in answer.json()["message"]
    assert neo.get(f"/v1/functions/{name}").status_code == 404


@pytest.mark.parametrize("field", ["name", "code", "entryPoint", "runtime"])
def test_a_missing_extra_horizon_field_is_named(exh: httpx.Client, field: str) -> None:
    body = api_function(unique("bad"), zipped({"index.js": FINE}))
    del body[field]

    answer = exh.post("/tasks/v1/functions/", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, 14)
    assert field in answer.json()["message"]


def with_entry(name: str, mode: int = 0o100644, content: bytes = b"x") -> bytes:
    """Return a zip with a sound file and one entry of that name and mode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.js", FINE)
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return buffer.getvalue()


def bomb(size: int = 300 << 20) -> bytes:
    """Return a small zip that inflates to ``size`` bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("index.js", "w") as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def lying_bomb() -> bytes:
    """Return a zip whose entry says it is 10 bytes long and inflates to 300 MB."""
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join([*(compress.compress(bytes(1 << 20)) for _ in range(300)), compress.flush()])
    name, crc, claimed = b"index.js", 0, 10
    sizes = struct.pack("<III", crc, len(data), claimed)
    local = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + struct.pack("<HH", len(name), 0) + name
    central = (
        b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33) + sizes + struct.pack("<HHHHHII", 8, 0, 0, 0, 0, 0, 0)
    )
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central + name), len(local + data), 0)
    return local + data + central + name + end


@pytest.mark.parametrize(
    "package",
    [
        pytest.param(partial(with_entry, "../escape.js"), id="parent"),
        pytest.param(partial(with_entry, "/etc/passwd"), id="absolute"),
        pytest.param(partial(with_entry, "a/../../b.js"), id="parent inside"),
        pytest.param(partial(with_entry, "C:\\windows.js"), id="drive"),
        pytest.param(partial(with_entry, "a\\b.js"), id="backslash"),
        pytest.param(partial(with_entry, "a//b.js"), id="empty segment"),
        pytest.param(partial(with_entry, "n" * 300 + ".js"), id="long segment"),
        pytest.param(partial(with_entry, "link", 0o120777, b"/etc/passwd"), id="link out"),
        pytest.param(bomb, id="bomb"),
        pytest.param(lying_bomb, id="lying bomb"),
        pytest.param(lambda: zipped({"index.js": FINE})[:-20], id="cut off"),
    ],
)
def test_an_unsafe_package_is_refused_whole(exh: httpx.Client, neo: httpx.Client, package: Callable[[], bytes]) -> None:
    name = unique("bad")

    answer = exh.post("/tasks/v1/functions/", json=api_function(name, package()))

    assert (answer.status_code, answer.json()["code"]) == (400, 1401), answer.text
    assert answer.json()["message"]
    assert neo.get(f"/v1/functions/{name}").status_code == 404


def test_a_body_over_fifty_megabytes_is_refused_early(exh: httpx.Client) -> None:
    answer = exh.post("/tasks/v1/functions/", content=b"x" * (51 << 20), headers=JSON_TYPE)

    assert 400 <= answer.status_code < 500
    assert answer.json()["message"]


def test_a_failed_update_leaves_the_old_package_serving(exh: httpx.Client, functions: Functions) -> None:
    name = functions.create_node("exports.handler = async () => ({ statusCode: 200, body: 'old' })")
    broken = base64.b64encode(with_entry("../escape.js")).decode()

    answer = exh.put(f"/tasks/v1/functions/{name}", json={"code": broken, "description": "never"})

    assert (answer.status_code, answer.json()["code"]) == (400, 1401)
    assert functions.call(name).text == "old"


def test_an_unknown_function_is_not_found_in_each_dialect(exh: httpx.Client, neo: httpx.Client) -> None:
    called = exh.get("/tasks/v1/api/not-there/")
    invoked = neo.post("/v1/functions/not-there/invoke")

    assert (called.status_code, called.json()["code"]) == (404, 16)
    assert refusal(invoked)[:2] == (404, "function_not_found")


def raw_exchange(platform: Platform, request: bytes) -> bytes:
    """Send bytes as they are and return what comes back before the server closes or a second passes."""
    address = urlsplit(platform.address)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5) as connection:
        connection.sendall(request)
        connection.settimeout(1)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except TimeoutError:
            pass
        return received


def test_dots_in_a_path_reach_no_other_route(platform: Platform, functions: Functions) -> None:
    name = functions.create_node(
        "exports.handler = async (e) => ({ statusCode: 200, body: e.rawPath })", **permission_mode("public")
    )

    answer = raw_exchange(
        platform,
        f"GET /tasks/v1/api/{name}/../../../../v1/functions HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {API_KEY}\r\n"
        "Connection: close\r\n\r\n".encode(),
    )

    assert b'"success":true' not in answer


def test_a_request_with_a_split_header_is_refused(platform: Platform) -> None:
    answer = raw_exchange(
        platform, b"GET /v1/functions HTTP/1.1\r\nHost: localhost\r\nX-API-Key: a\rb\r\nConnection: close\r\n\r\n"
    )

    assert answer.split(b" ")[1] in {b"400", b"401"}


def test_the_platform_is_well_after_all_that(anonymous: httpx.Client) -> None:
    assert anonymous.get("/ready").status_code == 200
    assert anonymous.get("/health").status_code == 200
