"""
Our own log: one chain for our events and for the libraries' records.

``configure`` is called once, by ``main``. After it ``structlog.get_logger()`` anywhere writes one line for each
event to standard error: readable on a terminal, one JSON object a line elsewhere. Event names are constants in
snake_case, facts are keys: ``log.info("function_deployed", function_id=...)``. What is bound with
``structlog.contextvars`` at the edge (correlation, message, function, execution ids) is on every line below it.
What users' functions print is data and never comes here; secrets and payloads are never logged.
"""

import logging
import sys
from typing import TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from shared.process.settings import LogSettings

# Libraries that tell at INFO what only their developers want to know.
_QUIET = ("aiormq", "aio_pika", "aiohttp.access", "alembic", "asyncio", "boto3", "botocore", "s3transfer", "urllib3")


def configure(settings: LogSettings, *, service: str, stream: TextIO | None = None) -> None:
    """
    Send everything logged in this process to ``stream`` (standard error if not given).

    ``service`` is on every line. May be called again: the last call counts.
    """
    out = sys.stderr if stream is None else stream
    console = settings.format == "console" or (settings.format == "auto" and out.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared_chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _name_service(service),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_render(console=console)],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared_chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _name_service(service: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return add


def _render(*, console: bool) -> list[Processor]:
    if console:
        return [structlog.dev.ConsoleRenderer(pad_event_to=32, exception_formatter=structlog.dev.plain_traceback)]
    return [
        structlog.processors.EventRenamer("event"),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_json),
    ]


def _json(event: EventDict, **_ignored: object) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
