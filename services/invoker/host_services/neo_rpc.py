"""A client of one Neo N3 node: JSON-RPC over HTTP, read-only by what it is used for."""

import asyncio
from typing import Any

import httpx
import orjson

from services.invoker.host_services.errors import BlockchainError, ServiceUnavailableError
from services.invoker.host_services.http import BodyError, HttpSender, TransportError

_MOST_BYTES = 5 * 1024 * 1024
_LONGEST_MESSAGE = 1000
_KEPT_CONNECTIONS = 16


class NeoRpc:
    """Calls a node. An answer that is not there within ``limit_s`` is given up. ``close`` it once."""

    def __init__(self, url: str, *, limit_s: float) -> None:
        self._url = httpx.URL(url)
        self._limit_s = limit_s
        trust = httpx.create_ssl_context() if self._url.scheme == "https" else None
        self._sender = HttpSender(trust=trust, keep=_KEPT_CONNECTIONS)
        self._headers = {"content-type": "application/json", **_authorization(self._url)}

    async def call(self, method: str, *parameters: Any) -> Any:
        """
        Return the result of a method.

        Raises:
            BlockchainError: the node refused; ``rpcCode`` says how.
            ServiceUnavailableError: it cannot be reached, is too slow, or is no Neo node.
        """
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        request = httpx.Request("POST", self._url, headers=self._headers, content=body)
        try:
            async with asyncio.timeout(self._limit_s):
                answer = await self._sender.send(request, most_bytes=_MOST_BYTES)
        except TimeoutError:
            raise ServiceUnavailableError(f"the Neo N3 node did not answer within {self._limit_s:g} s") from None
        except TransportError as error:
            raise ServiceUnavailableError("the Neo N3 node cannot be reached") from error
        except BodyError as error:
            raise ServiceUnavailableError(f"the answer of the Neo N3 node cannot be taken: {error}") from error
        return _result(answer.status, answer.body)

    async def close(self) -> None:
        """Close every connection."""
        await self._sender.close()


def _result(status: int, body: bytes) -> Any:
    """Return the result in an answer. Nodes tell of errors with any HTTP status, so only the body counts."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and isinstance(error := answer.get("error"), dict):
        raise _refusal(error)
    if not isinstance(answer, dict) or "result" not in answer:
        raise ServiceUnavailableError(f"the Neo N3 node answered with HTTP {status} and no JSON-RPC")
    return answer["result"]


def _refusal(error: dict[str, Any]) -> BlockchainError:
    said = [each for each in (error.get("message"), error.get("data")) if isinstance(each, str) and each]
    code = error.get("code")
    message = ": ".join(dict.fromkeys(said))[:_LONGEST_MESSAGE] or "the Neo N3 node refused"
    return BlockchainError(message, rpcCode=code if isinstance(code, int) else None)


def _authorization(url: httpx.URL) -> dict[str, str]:
    """Return the header for a user and password in the URL."""
    if not url.userinfo:
        return {}
    authorized = next(httpx.BasicAuth(url.username, url.password).auth_flow(httpx.Request("POST", url)))
    return {"authorization": authorized.headers["authorization"]}
