"""Applications people really write, packaged as they would package them, behind published adapters."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import apps_python, fixtures_npm
from tests.support.builders import PYTHON, Functions, functions_on
from tests.support.platform import Platform

SOURCES = Path(__file__).parent / "functions"
Call = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def module_functions(platform: Platform) -> Iterator[Functions]:
    with platform.neo() as neo, platform.extra_horizon() as exh, functions_on(neo, exh) as made:
        yield made


@pytest.fixture(scope="module")
def express(module_functions: Functions) -> Call:
    name = module_functions.create_package(fixtures_npm.packaged_app(SOURCES / "express"))
    return lambda *request, **options: module_functions.call(name, *request, **options)


@pytest.fixture(scope="module")
def starlette(module_functions: Functions) -> Call:
    package = apps_python.packaged_app(
        SOURCES / "starlette", "starlette", "anyio", "idna", "typing_extensions", "mangum"
    )
    name = module_functions.create_package(package, runtime=PYTHON, memoryLimit=256)
    return lambda *request, **options: module_functions.call(name, *request, **options)


@pytest.fixture(scope="module")
def flask(module_functions: Functions) -> Call:
    package = apps_python.packaged_app(
        SOURCES / "flask",
        *("flask", "werkzeug", "jinja2", "markupsafe", "click", "blinker", "itsdangerous"),
        *("a2wsgi", "mangum", "typing_extensions"),
    )
    name = module_functions.create_package(package, runtime=PYTHON, memoryLimit=256)
    return lambda *request, **options: module_functions.call(name, *request, **options)


@pytest.fixture(params=["express", "starlette", "flask"])
def call(request: pytest.FixtureRequest) -> Call:
    """Each application in turn; they agree on these routes."""
    chosen: Call = request.getfixturevalue(request.param)
    return chosen


def test_the_root_answers(call: Call) -> None:
    answer = call("/")

    assert (answer.status_code, answer.text) == (200, "home")


def test_a_json_body_is_read_and_answered(call: Call) -> None:
    answer = call("/orders", "POST", json={"id": 7, "name": "grüße"})

    assert (answer.status_code, answer.json()) == (201, {"created": {"id": 7, "name": "grüße"}})


def test_a_binary_body_goes_in_and_comes_out_whole(call: Call) -> None:
    sent = bytes(range(256)) * 40

    answer = call("/reverse", "POST", content=sent, headers={"Content-Type": "application/octet-stream"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    assert answer.content == sent[::-1]


def test_cookies_go_in_and_come_out(call: Call) -> None:
    answer = call("/cookie", headers={"Cookie": "seen=before"})

    assert answer.status_code == 200
    assert "before" in answer.text
    assert answer.headers["set-cookie"].startswith("seen=yes")


def test_an_unknown_path_is_the_applications_own_404(call: Call) -> None:
    answer = call("/nowhere/at/all")

    assert answer.status_code == 404
    assert "code" not in answer.text


def test_python_applications_read_paths_and_repeated_query_parameters(starlette: Call, flask: Call) -> None:
    for call in (starlette, flask):
        answer = call("/orders/a%20b?x=1&x=2&y=%26")

        assert answer.json() == {"id": "a b", "query": [["x", "1"], ["x", "2"], ["y", "&"]]}


def test_express_routes_parameters_query_strings_and_callers(express: Call) -> None:
    answer = express("/orders/a%20b?x=1&x=2&deep[k]=v").json()

    assert (answer["id"], answer["query"]) == ("a b", {"x": ["1", "2"], "deep": {"k": "v"}})
    assert len(answer["user"]) == 24


def test_express_redirects_and_empty_answers_pass(express: Call) -> None:
    redirect = express("/old", follow_redirects=False)
    deleted = express("/orders/7", "DELETE")

    assert (redirect.status_code, redirect.headers["location"]) == (302, "/new")
    assert (deleted.status_code, deleted.content) == (204, b"")


def test_an_error_the_application_handles_is_its_own_answer(express: Call) -> None:
    answer = express("/broken")

    assert (answer.status_code, answer.json()) == (418, {"error": "the app broke"})
