"""
What a browser asks before and after a page of another origin calls (CORS).

The contract is silent about it. A key is in a header that the page itself sets, never something the browser
adds by itself, so letting any page call gives it nothing it does not have; still nobody is let unless the
operator says so. Preflights carry no key: they are answered with constants and count against nobody.
"""

from collections.abc import Iterable, Mapping

from aiohttp import web

from services.api.dialects.dialect import Route

_SENT = "X-API-Key, Authorization, Content-Type, Idempotency-Key, X-Request-Id"
_READ = (
    "X-Request-Id, X-Execution-Id, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    "X-Rate-Limit-Limit, X-Rate-Limit-Remaining, X-Rate-Limit-Reset"
)
_REMEMBERED_S = "7200"
"""How long browsers may go by a preflight; they cut it down to limits of their own."""
_ORIGIN = "Origin"
_ALL = "*"


class Browsers:
    """The pages that may call: ``origins`` with commas between, ``*`` for all, None for none."""

    def __init__(self, origins: str | None) -> None:
        self._all = origins == _ALL
        self._origins = frozenset(each.strip().lower() for each in origins.split(",")) if origins else frozenset()

    def preflights(self, routes: Iterable[Route]) -> tuple[Route, ...]:
        """Return what answers OPTIONS on the paths of these routes; nothing when no page may call."""
        if not self._origins:
            return ()
        methods: dict[str, list[str]] = {}
        for route in routes:
            methods.setdefault(route.path, []).extend(route.methods)
        return tuple(self._preflight(path, sorted(offered)) for path, offered in methods.items())

    def admit(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Let the page that asked read an answer, when it may."""
        if not self._origins:
            return
        if self._all:
            response.headers["Access-Control-Allow-Origin"] = _ALL
        else:
            response.headers.add("Vary", _ORIGIN)
            origin = request.headers.get(_ORIGIN)
            if origin is None or origin.lower() not in self._origins:
                return
            response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _READ

    def _preflight(self, path: str, methods: list[str]) -> Route:
        headers = {
            "Allow": ", ".join([*methods, "OPTIONS"]),
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": _SENT,
            "Access-Control-Max-Age": _REMEMBERED_S,
        }

        async def answer(request: web.BaseRequest, _parameters: Mapping[str, str]) -> web.Response:
            response = web.Response(status=204, headers=headers)
            self.admit(request, response)
            return response

        return Route(methods=("OPTIONS",), path=path, handler=answer)
