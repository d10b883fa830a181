"""Functions that bring their own program (``provided.*``), made and called through the Extra Horizon dialect."""

import base64

import pytest

from tests.support.builders import Functions, api_function, unique, zipped
from tests.support.compiler import compiled_bootstrap
from tests.support.eventually import eventually_sync

SCRIPT = r"""#!/bin/sh
API="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  EVENT=$(curl -sS -D /tmp/headers "$API/next")
  ID=$(grep -i '^lambda-runtime-aws-request-id:' /tmp/headers | cut -d: -f2 | tr -d '[:space:]')
  echo "handling $_HANDLER"
  curl -sS -o /dev/null "$API/$ID/response" -d "{\"statusCode\":201,\"body\":$EVENT}"
done
"""


@pytest.mark.parametrize("runtime", ["provided.al2023", "provided.al2"])
def test_a_script_of_which_the_zip_lost_the_mode_is_called_as_an_api(functions: Functions, runtime: str) -> None:
    name = functions.create_package(zipped({"bootstrap": SCRIPT}), runtime=runtime, entryPoint="orders.handler")

    answer = functions.call(name, "/orders/7", "POST", content=b"one", headers={"Content-Type": "text/plain"})

    assert answer.status_code == 201
    assert (answer.json()["rawPath"], answer.json()["body"]) == ("/orders/7", "one")
    [request] = eventually_sync(lambda: functions.requests(name))
    assert eventually_sync(lambda: functions.request_logs(request["id"])) == ["handling orders.handler\n"]


def test_a_compiled_program_is_called_as_an_api_and_stays_warm(functions: Functions) -> None:
    name = functions.create_package(zipped({"bootstrap": compiled_bootstrap()}), runtime="provided.al2023")

    answers = [functions.call(name, f"/{n}") for n in range(3)]

    assert [each.status_code for each in answers] == [200, 200, 200]
    assert [each.json()["rawPath"] for each in answers] == ["/0", "/1", "/2"]


def test_a_program_that_dies_fails_its_own_call_only(functions: Functions) -> None:
    name = functions.create_package(zipped({"bootstrap": compiled_bootstrap()}), runtime="provided.al2023")

    assert functions.call(name, "/do:crash").status_code == 400
    assert functions.call(name, "/fine").status_code == 200


def test_a_zip_without_a_program_is_refused_with_what_is_missing(functions: Functions) -> None:
    package = zipped({"index.js": "exports.handler = async () => ({ statusCode: 204 })"})
    body = api_function(unique("api"), package, runtime="provided.al2023")

    refused = functions.exh.post("/tasks/v1/functions/", json=body)

    assert (refused.status_code, refused.json()["code"]) == (400, 1401)
    assert "bootstrap" in refused.json()["message"]
    assert functions.exh.get(f"/tasks/v1/functions/{body['name']}").status_code == 404


def test_a_function_cannot_change_to_a_runtime_its_package_does_not_suit(functions: Functions) -> None:
    name = functions.create_node("exports.handler = async () => ({ statusCode: 204 })")

    refused = functions.exh.put(f"/tasks/v1/functions/{name}", json={"runtime": "provided.al2"})

    assert (refused.status_code, refused.json()["code"]) == (400, 1401)
    assert functions.call(name).status_code == 204
    fitting = base64.b64encode(zipped({"bootstrap": SCRIPT})).decode()
    changed = functions.exh.put(f"/tasks/v1/functions/{name}", json={"runtime": "provided.al2", "code": fitting})
    assert changed.status_code == 200, changed.text
    assert functions.call(name).status_code == 201
