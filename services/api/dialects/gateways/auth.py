"""``/api/auth``: signing up, logging in and out (contracts/gateways.md section 2.1). Tokens are never cached."""

from aiohttp import web

from services.api.dialects.gateways import bodies, views
from services.api.dialects.gateways.answers import done
from services.api.dialects.gateways.callers import Door
from services.api.dialects.gateways.table import TEXT, Entry, Parameters
from services.api.operations import sign_in
from services.api.operations.sign_in import SignedIn, SignUp


async def sign_up(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    body = await bodies.read_object(request)
    wanted = SignUp(email=bodies.email(body), password=bodies.text(body, "password"), name=bodies.name(body))
    session = await sign_in.sign_up(door.platform, door.desk, wanted, door.origin(request))
    return _let_in("User registered successfully", session, 201)


async def log_in(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    body = await bodies.read_object(request)
    email, password = bodies.text(body, "email").strip(), bodies.text(body, "password")
    session = await sign_in.log_in(door.platform, door.desk, email, password, door.origin(request))
    return _let_in("Login successful", session)


async def refresh(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    body = await bodies.read_object(request)
    session = await sign_in.renew(door.platform, door.desk, bodies.text(body, "refreshToken"))
    return _let_in("Session renewed successfully", session)


async def log_out(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    await sign_in.log_out(door.platform, await door.caller(request))
    return done("Logged out successfully")


async def log_out_everywhere(door: Door, request: web.BaseRequest, _parameters: Parameters) -> web.Response:
    await sign_in.log_out_everywhere(door.platform, await door.caller(request))
    return done("All sessions logged out successfully")


def _let_in(message: str, session: SignedIn, status: int = 200) -> web.Response:
    response = done(message, views.signed_in(session), status)
    response.headers["Cache-Control"] = "no-store"
    return response


ENTRIES = (
    Entry(
        method="POST",
        path="/api/auth/signup",
        handler=sign_up,
        name="SignUp",
        summary="Sign up: a user, a workspace of their own and a session",
        status="201",
        body={"email": TEXT, "password": TEXT, "name": TEXT},
        required=("email", "password", "name"),
        is_public=True,
    ),
    Entry(
        method="POST",
        path="/api/auth/login",
        handler=log_in,
        name="LogIn",
        summary="Open a session",
        body={"email": TEXT, "password": TEXT},
        required=("email", "password"),
        is_public=True,
    ),
    Entry(
        method="POST",
        path="/api/auth/refresh",
        handler=refresh,
        name="RefreshSession",
        summary="Let a session go on for another week; the refresh token is used up",
        body={"refreshToken": TEXT},
        required=("refreshToken",),
        is_public=True,
    ),
    Entry(
        method="POST",
        path="/api/auth/logout",
        handler=log_out,
        name="LogOut",
        summary="End the session this is sent in",
    ),
    Entry(
        method="POST",
        path="/api/auth/logout-all",
        handler=log_out_everywhere,
        name="LogOutEverywhere",
        summary="End all of the user's sessions",
    ),
)
