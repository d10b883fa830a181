"""A Starlette application: nothing in it knows where it runs."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


async def home(request: Request) -> Response:
    return PlainTextResponse("home")


async def order(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["id"], "query": request.query_params.multi_items()})


async def create(request: Request) -> Response:
    return JSONResponse({"created": await request.json()}, status_code=201)


async def reverse(request: Request) -> Response:
    return Response((await request.body())[::-1], media_type="application/octet-stream")


async def cookie(request: Request) -> Response:
    response = PlainTextResponse(request.cookies.get("seen", "none"))
    response.set_cookie("seen", "yes")
    return response


app = Starlette(
    routes=[
        Route("/", home),
        Route("/orders/{id}", order),
        Route("/orders", create, methods=["POST"]),
        Route("/reverse", reverse, methods=["POST"]),
        Route("/cookie", cookie),
    ]
)
