"""
How many bytes of request bodies this process holds at once.

Every body has its own limit, but many together would still fill the memory. Bytes are charged as they arrive, not
as they are announced: a caller who announces much and sends nothing takes nothing from the others. What one
request was charged is given back when its answer is made, whatever became of it.
"""

from shared.domain.errors import UnavailableError

BODIES_BYTES = 512 * 1024 * 1024


class HeldBody:
    """What one request holds of the budget; whoever opened it releases it."""

    __slots__ = ("_budget", "_bytes")

    def __init__(self, budget: "BodyBudget") -> None:
        self._budget = budget
        self._bytes = 0

    def expect(self, size_bytes: int) -> None:
        """
        Refuse a body that is larger than what is left, before anything of it is read. Charges nothing.

        Raises:
            UnavailableError: there is no room for it now.
        """
        if size_bytes > self._budget.left_bytes:
            raise _full()

    def take(self, size_bytes: int) -> None:
        """
        Charge bytes that have arrived.

        Raises:
            UnavailableError: there is no room for them now.
        """
        self.expect(size_bytes)
        self._budget.held_bytes += size_bytes
        self._bytes += size_bytes

    def release(self) -> None:
        """Give everything back."""
        self._budget.held_bytes -= self._bytes
        self._bytes = 0


class BodyBudget:
    """The bodies of all requests being answered: ``held_bytes`` of at most ``limit_bytes``."""

    def __init__(self, limit_bytes: int = BODIES_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0

    @property
    def left_bytes(self) -> int:
        """How much more may come in now."""
        return self._limit_bytes - self.held_bytes

    def open(self) -> HeldBody:
        """Begin one request's account."""
        return HeldBody(self)


def _full() -> UnavailableError:
    return UnavailableError("too many request bodies are being handled; try again later")
