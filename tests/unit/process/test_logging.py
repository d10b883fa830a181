import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared.process.logging import configure
from shared.process.settings import LogSettings


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    yield io.StringIO()
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_outside_a_terminal_each_event_is_a_json_object(out: io.StringIO) -> None:
    configure(LogSettings(format="auto", level="info"), service="invoker", stream=out)
    structlog.get_logger("mill").info("grain_ground", sacks=3)
    (line,) = lines(out)

    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "grain_ground", "sacks": 3, "service": "invoker", "level": "info", "logger": "mill"}


def test_records_of_libraries_go_the_same_way(out: io.StringIO) -> None:
    configure(LogSettings(format="json", level="info"), service="api", stream=out)
    structlog.contextvars.bind_contextvars(correlation_id="c1")
    logging.getLogger("some.library").warning("it %s", "creaks")
    (line,) = lines(out)

    assert (line["event"], line["level"], line["logger"]) == ("it creaks", "warning", "some.library")
    assert (line["service"], line["correlation_id"]) == ("api", "c1")


def test_what_is_bound_at_the_edge_is_on_every_line(out: io.StringIO) -> None:
    configure(LogSettings(format="json", level="info"), service="api", stream=out)
    with structlog.contextvars.bound_contextvars(function_id="func_1"):
        structlog.get_logger().info("called")
    structlog.get_logger().info("after")

    assert [line.get("function_id") for line in lines(out)] == ["func_1", None]


def test_less_important_lines_are_not_written(out: io.StringIO) -> None:
    configure(LogSettings(format="json", level="warning"), service="api", stream=out)
    structlog.get_logger().info("whispered")
    logging.getLogger("x").info("whispered")
    structlog.get_logger().warning("said")

    assert [line["event"] for line in lines(out)] == ["said"]


def test_an_exception_is_part_of_its_line(out: io.StringIO) -> None:
    configure(LogSettings(format="json", level="info"), service="api", stream=out)
    try:
        raise ValueError("dry well")
    except ValueError:
        structlog.get_logger().exception("bucket_lost")
    (line,) = lines(out)

    assert "ValueError: dry well" in line["exception"]


def test_what_json_cannot_say_is_shown_not_dropped(out: io.StringIO) -> None:
    configure(LogSettings(format="json", level="info"), service="api", stream=out)
    structlog.get_logger().info("odd", value={1, 2})
    (line,) = lines(out)

    assert line["value"] == "{1, 2}"


def test_the_console_form_is_for_people(out: io.StringIO) -> None:
    configure(LogSettings(format="console", level="info"), service="api", stream=out)
    structlog.get_logger().info("grain_ground", sacks=3)

    assert "grain_ground" in out.getvalue()
    with pytest.raises(json.JSONDecodeError):
        lines(out)
