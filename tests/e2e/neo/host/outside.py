"""What the functions of these tests can reach: a chain behind a proxy, and one web server with a certificate."""

import asyncio
import json
from contextlib import ExitStack
from typing import Any

from aiohttp import web

from tests.e2e.neo.conftest import Account
from tests.support.background import Background
from tests.support.neo_chain import NeoChain
from tests.support.proxy import Proxy
from tests.support.web import Authority, Site, running_site

RPC_S = 1.0
CAUGHT = "(error) => ({ ours: error instanceof Error, name: error.name, code: error.code, message: error.message })"
"""What a function makes of an error."""


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    """Answer as the host that functions may reach."""
    if request.path == "/slow":
        await asyncio.sleep(30)
    if request.path == "/away":
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    if request.path == "/bytes":
        return web.Response(body=bytes(range(256)), headers={"X-Mark": "one"})
    if request.path == "/teapot":
        return web.json_response({"short": True}, status=418)
    told = {"path": request.path_qs, "method": request.method, "body": (await request.read()).decode("latin-1")}
    return web.json_response({**told, "type": request.headers.get("Content-Type"), "price": {"neo": "12.25"}})


class Outside:
    """What the platform's functions can reach."""

    def __init__(self, chain: NeoChain, authority: Authority, stack: ExitStack) -> None:
        self.background = Background()
        stack.callback(self.background.close)
        self.proxy = Proxy.of(chain.url)
        self.background.call(self.proxy.__aenter__())
        stack.callback(lambda: self.background.call(self.proxy.__aexit__(None, None, None)))
        running = running_site(answer, authority.server("localhost"))
        self.site: Site = self.background.call(running.__aenter__())
        stack.callback(lambda: self.background.call(running.__aexit__(None, None, None)))
        self.at = f"https://localhost:{self.site.port}"
        self._chain, self._authority = chain, authority

    def settings(self) -> dict[str, str]:
        sources = [
            {"name": "one", "url": f"{self.at}/one?of={{BASE}}{{QUOTE}}", "path": "$.price.{base}"},
            {"name": "two", "url": f"{self.at}/two", "path": "$.price.neo"},
        ]
        return {
            "SSL_CERT_FILE": str(self._authority.file),
            "TIDEMILL_NEO_RPC_URL": self.proxy.url(self._chain.url),
            "TIDEMILL_NEO_RPC_TIMEOUT_S": str(RPC_S),
            "TIDEMILL_ORACLE_HOSTS": f"localhost:{self.site.port},api.example",
            "TIDEMILL_PRICE_SOURCES": json.dumps(sources),
            "TIDEMILL_RATE_LIMIT": "off",
        }

    def do(self, act: str) -> None:
        """Let the way to the chain ``stall``, be ``cut``, or ``heal``."""

        async def acting() -> None:
            getattr(self.proxy, act)()

        self.background.call(acting())


def run(account: Account, body: str, params: Any = None, **fields: Any) -> Any:
    """Run the body of a function that must succeed; return its result."""
    name = account.functions.create_neo(f"module.exports = async ({{ services, params }}) => {{ {body} }};", **fields)
    told = account.functions.invoke(name, params or {})
    assert told.status_code == 200, told.text
    return told.json()["data"]["result"]
