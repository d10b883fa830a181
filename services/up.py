"""``./tidemill up``: all four services in this process, and what a newcomer needs to know once they run."""

import argparse
from contextlib import AsyncExitStack

from services import all_in_one
from services.invoker.pool.description import EngineDescription
from shared.process.settings import Settings
from shared.process.supervise import Supervisor, serve


def main(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Run everything until told to stop."""

    async def start(stack: AsyncExitStack, supervisor: Supervisor) -> all_in_one.AllInOne:
        _say("Tidemill is starting")
        running = await all_in_one.build(settings, _say, stack, supervisor)
        _say(banner(running, settings))
        return running

    return serve(start, drain_s=settings.stop.drain_s)


def banner(running: all_in_one.AllInOne, settings: Settings) -> str:
    """Return what a newcomer needs next: the address, the credentials, three lines to paste."""
    address, known = running.address, running.credentials
    key = f"-H 'X-API-Key: {known.api_key}'"
    code = "module.exports = async ({ params, log }) => { log.info(params); return { hello: params.name } }"
    return f"""
Tidemill is up at {address}  (API page: {address}/docs)
{confinement(running.sandbox)}
  admin             {known.email}
  password          {known.password}
  API key           {known.api_key}
  OAuth client id   {known.oauth_client_id}
  OAuth 1.0 key     {known.oauth1_consumer_key}
  OAuth 1.0 secret  {known.oauth1_consumer_secret}
  kept in           {settings.data.data_dir / "credentials.json"}

Create a function, call it, see what happened:

curl -s {address}/v1/functions {key} -d '{{"name":"hello","runtime":"node18","code":"{code}"}}'
curl -s {address}/v1/functions/hello/invoke {key} -d '{{"params":{{"name":"miller"}}}}'
curl -s {address}/v1/functions/hello {key}

Ctrl-C stops it; everything is kept for the next start.
"""


def confinement(description: EngineDescription) -> str:
    """Return how functions are confined here: a line when all is well, else what is missing, too."""
    lines = [f"  functions run in  {description.summary()}"]
    for lack in description.weaknesses:
        lines += [f"    missing         {lack.missing}", f"    that means      {lack.meaning}"]
        lines += [f"    the fix         {lack.fix}"]
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, flush=True)
