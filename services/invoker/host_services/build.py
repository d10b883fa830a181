"""Which services there are, made of the settings."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from services.invoker.host_services.blockchain import Blockchain
from services.invoker.host_services.neo_rpc import NeoRpc
from services.invoker.host_services.network import Resolver
from services.invoker.host_services.oracle import Oracle, Web
from services.invoker.host_services.outbound import Outbound
from services.invoker.host_services.price_feed import PriceFeed, PriceSources
from services.invoker.host_services.random import Random
from services.invoker.host_services.services import HostServices
from shared.crypto.signing import SigningKey
from shared.process.host_services_settings import HostServicesSettings
from shared.process.supervise import Supervisor


@asynccontextmanager
async def open_host_services(
    settings: HostServicesSettings, key: Callable[[], SigningKey | None]
) -> AsyncIterator[HostServices]:
    """
    Open what the settings name and yield the services; those that nothing is configured for refuse every call.

    Nothing is connected to before a function asks for it. ``key`` gives the key that signs now, if there is one.
    """
    async with AsyncExitStack() as stack:
        rpc, outbound = None, None
        if settings.neo_rpc_url is not None:
            rpc = NeoRpc(settings.neo_rpc_url.reveal(), limit_s=settings.neo_rpc_timeout_s)
            stack.push_async_callback(rpc.close)
        if settings.oracle_hosts is not None or settings.price_sources is not None:
            outbound = Outbound(httpx.create_ssl_context(), Resolver())
            stack.push_async_callback(outbound.close)
        oracle = Oracle(_web(settings, outbound))
        services = {
            "blockchain": Blockchain(rpc).methods(),
            "random": Random(key).methods(),
            "oracle": oracle.methods(),
            "http": oracle.http_methods(),
            "priceFeed": PriceFeed(_sources(settings, outbound)).methods(),
        }
        yield HostServices(services, await stack.enter_async_context(Supervisor()))


def _web(settings: HostServicesSettings, outbound: Outbound | None) -> Web | None:
    if outbound is None or settings.oracle_hosts is None:
        return None
    return Web(outbound=outbound, allowed=settings.oracle_hosts)


def _sources(settings: HostServicesSettings, outbound: Outbound | None) -> PriceSources | None:
    if outbound is None or settings.price_sources is None:
        return None
    return PriceSources(outbound=outbound, sources=settings.price_sources)
