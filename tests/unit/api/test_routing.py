"""From a raw path to a route."""

from collections.abc import Mapping

import pytest
from aiohttp import web

from services.api.dialects.dialect import Route
from services.api.routing import Router
from shared.domain.errors import MethodNotAllowedError, RouteNotFoundError


async def handler(_request: web.BaseRequest, _parameters: Mapping[str, str]) -> web.Response:
    return web.Response()


def route(path: str, *methods: str) -> Route:
    return Route(methods=methods or ("GET",), path=path, handler=handler)


@pytest.fixture
def router() -> Router:
    table = Router()
    table.add(
        [
            route("/"),
            route("/v1/functions", "GET"),
            route("/v1/functions", "POST"),
            route("/v1/functions/{id}", "GET", "PUT"),
            route("/v1/functions/{id}/invoke", "POST"),
            route("/tasks/v1/api/{name}/{path...}", "*"),
            route("/tasks/v1/{taskId}/cancel", "POST"),
            route("/files", "GET"),
            route("/files/{id}/content", "GET"),
            route("/files/{id}/{path...}", "GET"),
        ],
        None,
    )
    return table


@pytest.mark.parametrize(
    ("method", "path", "template", "parameters"),
    [
        ("GET", "/", "/", {}),
        ("GET", "/v1/functions", "/v1/functions", {}),
        ("GET", "/v1/functions/", "/v1/functions", {}),
        ("POST", "/v1/functions", "/v1/functions", {}),
        ("HEAD", "/v1/functions", "/v1/functions", {}),
        ("PUT", "/v1/functions/greet", "/v1/functions/{id}", {"id": "greet"}),
        ("GET", "/v1/functions/greet/", "/v1/functions/{id}", {"id": "greet"}),
        ("GET", "/v1/functions/a%2Fb%20c", "/v1/functions/{id}", {"id": "a/b c"}),
        ("GET", "/v1/functions/..", "/v1/functions/{id}", {"id": ".."}),
        ("POST", "/v1/functions/greet/invoke/", "/v1/functions/{id}/invoke", {"id": "greet"}),
        ("PUT", "/tasks/v1/api/fn", "/tasks/v1/api/{name}/{path...}", {"name": "fn", "path": ""}),
        ("PROPFIND", "/tasks/v1/api/fn/", "/tasks/v1/api/{name}/{path...}", {"name": "fn", "path": "/"}),
        (
            "GET",
            "/tasks/v1/api/fn/a%2Fb//c/../d/",
            "/tasks/v1/api/{name}/{path...}",
            {"name": "fn", "path": "/a%2Fb//c/../d/"},
        ),
        ("POST", "/tasks/v1/64f0/cancel", "/tasks/v1/{taskId}/cancel", {"taskId": "64f0"}),
        ("GET", "/files/1/content", "/files/{id}/content", {"id": "1"}),
        ("GET", "/files/1/content/a/b", "/files/{id}/{path...}", {"id": "1", "path": "/content/a/b"}),
        ("GET", "/files/1/contents", "/files/{id}/{path...}", {"id": "1", "path": "/contents"}),
    ],
)
def test_a_path_leads_to_its_route(
    router: Router, method: str, path: str, template: str, parameters: dict[str, str]
) -> None:
    entry, found = router.find(method, path)

    assert entry.route.path == template
    assert found == parameters


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v1",
        "/v1/functions//",
        "/v1//functions",
        "/v1/functions/a/b",
        "/v1/functions/x/../y",
        "/tasks/v1/api",
        "",
    ],
)
def test_a_path_nobody_claimed_is_not_found(router: Router, path: str) -> None:
    with pytest.raises(RouteNotFoundError):
        router.find("GET", path or "//")


def test_a_wrong_method_is_told_apart_and_the_right_ones_are_named(router: Router) -> None:
    with pytest.raises(MethodNotAllowedError) as raised:
        router.find("DELETE", "/v1/functions")

    assert raised.value.fields["allow"] == "GET, HEAD, POST"


def test_two_routes_for_the_same_method_of_a_path_are_refused(router: Router) -> None:
    with pytest.raises(ValueError, match="claimed twice"):
        router.add([route("/v1/functions/{id}", "PUT")], None)


def test_two_names_for_the_same_parameters_are_refused(router: Router) -> None:
    with pytest.raises(ValueError, match="names its parameters"):
        router.add([route("/v1/functions/{other}", "DELETE")], None)
