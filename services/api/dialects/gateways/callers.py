"""Who calls the Gateways dialect: a key in ``X-API-Key``, which wins, else a session's token or a key as a bearer."""

from dataclasses import dataclass

from aiohttp import web

from services.api.access.addresses import FORWARDED_FOR
from services.api.access.people import Caller, Origin, identify_person
from services.api.operations.sign_in import SignInDesk
from services.api.package_files import PackageFiles
from services.api.platform import Platform
from shared.domain.errors import UnauthenticatedError

_MAX_USER_AGENT = 512


@dataclass(frozen=True, slots=True)
class Door:
    """The platform, what it takes to let people into it, what reads packages: what every handler is given."""

    platform: Platform
    desk: SignInDesk
    files: PackageFiles

    def origin(self, request: web.BaseRequest) -> Origin:
        """Return where a request comes from."""
        agent = request.headers.get("User-Agent")
        return Origin(
            address=self.platform.addresses.exact(request.remote, request.headers.getall(FORWARDED_FOR, ())),
            user_agent=None if agent is None else agent[:_MAX_USER_AGENT],
        )

    async def caller(self, request: web.BaseRequest) -> Caller:
        """Return who is calling; raise ``UnauthenticatedError``."""
        presented = request.headers.get("X-API-Key") or _bearer(request)
        if not presented:
            raise UnauthenticatedError("Log in, or present an API key")
        return await identify_person(self.platform, self.desk.tokens, presented, self.origin(request))


def _bearer(request: web.BaseRequest) -> str:
    scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
    return presented.strip() if scheme.lower() == "bearer" else ""
