"""
A host on the internet, as far as this machine can tell: an HTTP server in a network namespace of its own.

It answers at 198.51.100.2, an address set aside for documentation, over a pair of virtual interfaces whose near
end has 198.51.100.1. Needs root and ``ip``. Everything made here is removed on the way out.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex

import httpx

from tests.support.eventually import eventually_sync

NEAR = "198.51.100.1"
FAR = "198.51.100.2"
PORT = 8000
_START_S = 10.0
_ALONE_S = 60.0
_SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"from the other side"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", %d), Handler).serve_forever()
"""


@contextmanager
def outside_host() -> Iterator[str]:
    """Yield the URL of the host; it is reachable from this machine's own namespace."""
    near, far = f"tmn{token_hex(3)}", f"tmf{token_hex(3)}"
    with _alone(), ExitStack() as stack:
        _remove_leftovers()
        server = stack.enter_context(subprocess.Popen(["unshare", "--net", sys.executable, "-c", _SERVER % PORT]))
        # The pair of interfaces goes with the namespace that one of them is in, and that with the server.
        stack.callback(server.kill)
        ours = Path("/proc/self/ns/net").readlink()
        eventually_sync(lambda: Path(f"/proc/{server.pid}/ns/net").readlink() != ours)
        _run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", str(server.pid))
        _run("ip", "addr", "add", f"{NEAR}/24", "dev", near)
        _run("ip", "link", "set", near, "up")
        for arguments in (
            ("addr", "add", f"{FAR}/24", "dev", far),
            ("link", "set", far, "up"),
            ("link", "set", "lo", "up"),
        ):
            _run("nsenter", "-t", str(server.pid), "-n", "ip", *arguments)
        url = f"http://{FAR}:{PORT}"
        await_answer(url)
        yield url


def _remove_leftovers() -> None:
    """
    Remove the interface of a run that was killed: nobody else has our address while we are alone.

    One that goes by itself meanwhile, with the namespace its other end is in, is gone as well.
    """
    listing = subprocess.run(["ip", "-o", "addr", "show", "to", NEAR], capture_output=True, text=True, check=True)
    for line in listing.stdout.splitlines():
        name = line.split()[1]
        removed = subprocess.run(["ip", "link", "del", name], capture_output=True, text=True, timeout=10, check=False)
        assert removed.returncode == 0 or "Cannot find device" in removed.stderr, removed.stderr


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for other tests on this machine that use the same addresses, of whatever checkout they are."""
    with socket.socket(socket.AF_UNIX) as lock:
        eventually_sync(lambda: _bound(lock), within_s=_ALONE_S)
        yield


def _bound(lock: socket.socket) -> bool:
    try:
        lock.bind("\0tidemill-test-network")  # a name of the network namespace, gone with the process
    except OSError:
        return False
    return True


def await_answer(url: str) -> None:
    """Wait until whatever is to listen there answers; raise as the last try did when it does not."""
    deadline = time.monotonic() + _START_S
    while True:
        try:
            httpx.get(url, timeout=1)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _run(*command: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert run.returncode == 0, f"{' '.join(command)}: {run.stderr} (these tests need root and iproute2)"
