"""Commands of ``./tidemill`` on a database, as an operator types them at a shell."""

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from services.__main__ import parse
from shared.database import access, accounts
from shared.database.access import UserRow
from shared.database.accounts import FirstAccount
from shared.database.pool import Database
from shared.process.settings import load_settings
from tests.integration.database.world import ADMIN

PASSWORD = "a long password"

T = TypeVar("T")


class Operator:
    """Somebody at a shell: ``run`` gives what a command printed, ``refused`` what it said instead."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = url
        self.settings = {"TIDEMILL_DATABASE_URL": url}
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.first: FirstAccount = self.ask(lambda db: accounts.ensure_first_account(db, ADMIN))

    def ask(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do something with the database."""

        async def run() -> T:
            db = await Database.connect(self.url, max_size=1)
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(run())

    def run(self, *words: str, typed: str = PASSWORD) -> list[str]:
        assert self._exit_code(words, typed) == 0
        return self._capsys.readouterr().out.splitlines()

    def refused(self, *words: str, typed: str = PASSWORD) -> str:
        assert self._exit_code(words, typed) != 0
        return self._capsys.readouterr().err.strip()

    def user(self, email: str) -> UserRow:
        found = self.ask(lambda db: access.find_user_by_email(db, email))
        assert found is not None
        return found

    def _exit_code(self, words: tuple[str, ...], typed: str) -> int:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
        arguments = parse(words)
        code: int = arguments.run(load_settings(self.settings), arguments)
        return code
