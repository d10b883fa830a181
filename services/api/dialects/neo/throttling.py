"""
Rate limits in the words of the Neo dialect (contracts/neo.md section 6).

A request is charged once: to its API key when that is valid, else to its address, in ``callers.py``. One that
never gets that far (no such path, no such method) is charged when it is refused. Every answer says what is
left, in both spellings of the project's pages.
"""

from aiohttp import web

from services.api.access.addresses import FORWARDED_FOR
from services.api.access.rate_limit import Verdict
from services.api.platform import Platform
from shared.domain.errors import PlatformError, RateLimitedError

_LIMIT, _REMAINING, _RESET = (
    (f"X-Rate-Limit-{fact}", f"X-RateLimit-{fact}") for fact in ("Limit", "Remaining", "Reset")
)
_VERDICT = web.RequestKey("rate_limit_verdict", Verdict)


def charge_key(platform: Platform, request: web.BaseRequest, key_id: str) -> None:
    """Count a request with a valid key; raise ``RateLimitedError`` when it is one too many."""
    _apply(request, platform.rate_limits.charge_key(key_id))


def charge_address(platform: Platform, request: web.BaseRequest) -> None:
    """Count a request without a valid key; raise ``RateLimitedError`` when it is one too many."""
    address = platform.addresses.of(request.remote, request.headers.getall(FORWARDED_FOR, ()))
    _apply(request, platform.rate_limits.charge_address(address))


def judge_refusal(platform: Platform, request: web.BaseRequest, error: PlatformError) -> PlatformError:
    """Return what to answer: ``error``, or that a request refused before anybody counted it is one too many."""
    if _VERDICT not in request:
        try:
            charge_address(platform, request)
        except RateLimitedError as refusal:
            return refusal
    return error


def tell(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Write into an answer what its caller has left."""
    verdict = request.get(_VERDICT)
    if verdict is None:
        return
    headers = response.headers
    for names, fact in ((_LIMIT, verdict.limit), (_REMAINING, verdict.remaining), (_RESET, verdict.reset_at)):
        text = str(fact)
        for name in names:
            headers[name] = text


def _apply(request: web.BaseRequest, verdict: Verdict | None) -> None:
    if verdict is None:
        return
    request[_VERDICT] = verdict
    if not verdict.allowed:
        raise RateLimitedError("too many requests", limit=verdict.limit, reset_in_seconds=verdict.reset_in_s)
