"""An outside of the tests' own: servers on loopback, names that lead where a test says, and an oracle to ask."""

import base64
from typing import Any

from aiohttp import web

from services.invoker.host_services.network import Resolver
from services.invoker.host_services.oracle import Oracle, Web
from services.invoker.host_services.outbound import Outbound
from shared.process.host_services_settings import allowed_hosts
from tests.support.web import Authority


class FakeResolver(Resolver):
    """Knows the addresses that the test says, and counts who asks."""

    def __init__(self, known: dict[str, list[str]]) -> None:
        super().__init__()
        self.known = known
        self.asked: list[str] = []

    async def addresses(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host in self.known:
            return self.known[host]
        return await super().addresses(host, port)


class World:
    """Servers, and an oracle for each list of hosts."""

    def __init__(self, authority: Authority, resolver: FakeResolver) -> None:
        self.authority = authority
        self.resolver = resolver
        self.outbound = Outbound(authority.trusted(), resolver)

    async def fetch(self, hosts: str, url: str, **options: Any) -> dict[str, Any]:
        """Fetch as the realm does; the body comes back as text."""
        if "body" in options:
            options["body"] = base64.b64encode(options["body"]).decode()
        answer = await self._oracle(hosts).http_methods()["fetch"]([{"url": url, **options}])
        return {**answer, "body": base64.b64decode(answer["body"]).decode(), "headers": dict(answer["headers"])}

    async def oracle(self, hosts: str, url: str, **options: Any) -> Any:
        """Ask as a function does."""
        return await self._oracle(hosts).methods()["fetch"]([{"url": url, **options}])

    def _oracle(self, hosts: str) -> Oracle:
        return Oracle(Web(outbound=self.outbound, allowed=allowed_hosts(hosts)))


async def hello(request: web.BaseRequest) -> web.StreamResponse:
    return web.json_response({"path": request.path, "list": [{"price": 1.5}, 2**53 - 1]}, headers={"X-Mark": "seen"})
