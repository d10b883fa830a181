"""
Waiting for something to become true, with a deadline instead of a guess.

``await eventually(lambda: queue.empty())`` polls until the condition holds and returns its (truthy) value; it
fails with the last value, or the last ``AssertionError``, when the time is up.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar, overload

Value = TypeVar("Value")

_POLL_S = 0.01


@overload
async def eventually(condition: Callable[[], Awaitable[Value]], *, within_s: float = 5.0) -> Value: ...
@overload
async def eventually(condition: Callable[[], Value], *, within_s: float = 5.0) -> Value: ...
async def eventually(condition: Callable[[], object], *, within_s: float = 5.0) -> object:
    """
    Return the first truthy value of ``condition``, plain or awaited, asked again every few milliseconds.

    An ``AssertionError`` of the condition counts as not yet true; anything else it raises is raised at once.
    """
    deadline = time.monotonic() + within_s
    while True:
        failure: AssertionError | None = None
        try:
            value = condition()
            result = await value if isawaitable(value) else value
            if result:
                return result
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            message = f"not true within {within_s:g} s" + ("" if failure else f": {result!r}")
            raise AssertionError(message) from failure
        await asyncio.sleep(_POLL_S)


def eventually_sync(condition: Callable[[], Value], *, within_s: float = 5.0) -> Value:
    """Do the same from synchronous code."""
    deadline = time.monotonic() + within_s
    while True:
        failure: AssertionError | None = None
        try:
            if value := condition():
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            message = f"not true within {within_s:g} s" + ("" if failure else f": {value!r}")
            raise AssertionError(message) from failure
        time.sleep(_POLL_S)
