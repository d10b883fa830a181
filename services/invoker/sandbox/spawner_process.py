"""
The spawner: a small single-threaded process that starts sandboxes for an invoker.

Forking a process of 150 MB with an event loop stops that loop for 17 ms; forking this one stops nobody. It is
started with ``python -I -S``, holds one SEQPACKET socket to its invoker and dies with it: at the end of file
on that socket it kills every sandbox.

    invoker ──{"op":"spawn", id, ...} + [log, control?]─▶ spawner ──fork──▶ bwrap ──▶ worker
            ◀─{"op":"listening", id} + [listener]────────         (only if asked for)
            ◀─{"op":"started", id} + [pidfd]─────────────         (child id arrives on the information pipe)
            ◀─{"op":"exited", id, status}────────────────         (waitpid)

A sandbox made by bubblewrap stops at its block pipe until its cgroup and its network are in place, so user
code never runs without them. A sandbox without namespaces (the weaker rungs of the ladder) is confined in the
forked child, just before ``exec``. As subreaper the spawner also ends what such a sandbox leaves behind; what the
spawner itself leaves when it is killed is ended by its guard (``guard.py``).

It knows nothing of functions, runtimes or policies: every decision is in the request. Requests are trusted.
"""

import array
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from services.invoker.sandbox import kernel
from services.invoker.sandbox.forked import (
    ARGUMENTS,
    BLOCK,
    CONTROL,
    FILTER,
    INFO,
    become,
    become_network_helper,
    write,
)
from services.invoker.sandbox.guard import be_guarded, children, end_children, kill

MAX_MESSAGE = 192 * 1024
_ORPHAN_ROUNDS = 100
_NOT_REACHED = ("127.", "10.0.2.")


class Started:
    """One sandbox that runs or is about to."""

    __slots__ = ("block", "confined", "id", "info", "init", "network", "pid", "ready", "request", "slirp", "told")

    def __init__(self, request: dict[str, Any], pid: int) -> None:
        self.id: int = request["id"]
        self.request = request
        self.pid = pid
        self.confined: bool = "confine" in request
        self.init = 0
        self.info = -1
        self.block = -1
        self.ready = -1
        self.network = -1
        self.slirp = 0
        self.told = b""

    def close(self) -> None:
        """Close every pipe that is still open; the helper of the network ends with the last one."""
        for name in ("info", "block", "ready", "network"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)


class Spawner:
    """Serves one invoker until its socket closes."""

    def __init__(self, control: socket.socket, guard_gone: int) -> None:
        self._control = control
        self._guard_gone = guard_gone
        self._by_pid: dict[int, Started] = {}
        self._by_id: dict[int, Started] = {}
        self._poll = select.poll()
        self._on: dict[int, Callable[[], None]] = {}
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def serve(self) -> None:
        """Run until the invoker or the guard is gone, then kill what is left."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._watch(self._woken, self._reap)
        self._watch(self._control.fileno(), self._receive)
        self._watch(self._guard_gone, _end)
        try:
            while True:
                for descriptor, _ in self._poll.poll():
                    act = self._on.get(descriptor)
                    if act is not None:
                        act()
        except (EOFError, ConnectionError):
            pass
        finally:
            end_children()

    def _watch(self, descriptor: int, act: Callable[[], None]) -> None:
        self._on[descriptor] = act
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)

    def _forget(self, descriptor: int) -> None:
        del self._on[descriptor]
        self._poll.unregister(descriptor)

    def _send(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self._control.sendmsg([json.dumps(message).encode()], rights)

    def _receive(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, 4)
        if not data:
            raise EOFError
        request = json.loads(data)
        try:
            if request["op"] == "spawn":
                self._spawn(request, descriptors)
            else:
                sandbox = self._by_id.get(request["id"])
                if sandbox is not None:
                    kill(sandbox.pid)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _spawn(self, request: dict[str, Any], descriptors: list[int]) -> None:
        try:
            opened: dict[int, int] = {}
            ours: dict[str, int] = {}
            try:
                sandbox = self._start(request, descriptors, opened, ours)
            finally:
                for descriptor in opened.values():
                    os.close(descriptor)
        except OSError as error:
            for descriptor in ours.values():
                os.close(descriptor)
            self._send({"op": "failed", "id": request["id"], "error": str(error), "ran": False})
            return
        self._by_pid[sandbox.pid] = self._by_id[sandbox.id] = sandbox
        if sandbox.confined:
            self._announce(sandbox, sandbox.pid)
        else:
            sandbox.info, sandbox.block = ours["info"], ours["block"]
            self._watch(sandbox.info, lambda: self._informed(sandbox))

    def _start(
        self, request: dict[str, Any], descriptors: list[int], opened: dict[int, int], ours: dict[str, int]
    ) -> Started:
        """Open what the child needs (``opened``, by its number there) and what we keep of it (``ours``); fork."""
        if "confine" not in request:
            ours["info"], opened[INFO] = os.pipe2(os.O_CLOEXEC)
            opened[BLOCK], ours["block"] = os.pipe2(os.O_CLOEXEC)
            opened[FILTER] = os.open(request["filter"], os.O_RDONLY | os.O_CLOEXEC)
            opened[ARGUMENTS] = _in_memory("\0".join(request["arguments"]))
        log, *control = descriptors
        places = {1: log, 2: log, **opened}
        if control:
            places[CONTROL] = control[0]
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            become(request, places, parent)
        return Started(request, pid)

    def _informed(self, sandbox: Started) -> None:
        """Act on the id of the sandbox's first process: limits first, then the network, then let it run."""
        piece = os.read(sandbox.info, 4096)
        sandbox.told += piece
        if piece and b"}" not in sandbox.told:
            return
        self._forget(sandbox.info)
        os.close(sandbox.info)
        sandbox.info = -1
        try:
            if not sandbox.told:
                raise OSError("bubblewrap ended before it made a sandbox")
            sandbox.init = int(json.loads(sandbox.told)["child-pid"])
            for path in sandbox.request["cgroups"]:
                write(path, str(sandbox.init))
            if "processes" in sandbox.request:
                # Not before: a limit from before its user namespace would count all processes of the user.
                resource.prlimit(sandbox.init, resource.RLIMIT_NPROC, (sandbox.request["processes"],) * 2)
            if "listen" in sandbox.request:
                self._listen(sandbox)
            if "slirp" in sandbox.request:
                self._connect(sandbox)
            else:
                self._release(sandbox)
        except (ValueError, KeyError, OSError) as error:
            self._fail(sandbox, error)

    def _listen(self, sandbox: Started) -> None:
        """Give the invoker a socket that listens on the sandbox's own loopback interface."""

        def listen() -> None:
            listener = kernel.listen_on_loopback(sandbox.request["listen"])
            self._send({"op": "listening", "id": sandbox.id}, (listener.fileno(),))

        _in_network_of(sandbox.init, listen, "the Runtime API could not be offered")

    def _connect(self, sandbox: Started) -> None:
        """Start the user-mode network of a sandbox; it says on a pipe when it is up."""
        leave, sandbox.network = os.pipe2(os.O_CLOEXEC)
        sandbox.ready, tell = os.pipe2(os.O_CLOEXEC)
        try:
            arguments = [
                *sandbox.request["slirp"],
                *("--userns-path", f"/proc/{sandbox.init}/ns/user", "-e", "4", "-r", "5", str(sandbox.init), "tap0"),
            ]
            parent = os.getpid()
            sandbox.slirp = os.fork()
            if sandbox.slirp == 0:
                become_network_helper(arguments, leave, tell, parent, sandbox.init)
        finally:
            os.close(leave)
            os.close(tell)
        self._watch(sandbox.ready, lambda: self._connected(sandbox))

    def _connected(self, sandbox: Started) -> None:
        up = os.read(sandbox.ready, 1)
        self._forget(sandbox.ready)
        os.close(sandbox.ready)
        sandbox.ready = -1
        try:
            if not up:
                raise OSError("slirp4netns ended before the network was up")
            networks = [*sandbox.request["reject"], *host_addresses()]

            def reject() -> None:
                for network, mask in networks:
                    kernel.reject_route(network, mask)

            _in_network_of(sandbox.init, reject, "the routes that keep private networks out of reach could not be set")
            self._release(sandbox)
        except OSError as error:
            self._fail(sandbox, error)

    def _release(self, sandbox: Started) -> None:
        self._announce(sandbox, sandbox.init)
        os.write(sandbox.block, b"1")
        os.close(sandbox.block)
        sandbox.block = -1

    def _announce(self, sandbox: Started, pid: int) -> None:
        try:
            handle = os.pidfd_open(pid)
        except OSError as error:
            self._fail(sandbox, error)
            return
        self._send({"op": "started", "id": sandbox.id, "pid": pid}, (handle,))
        os.close(handle)

    def _fail(self, sandbox: Started, error: Exception) -> None:
        self._send({"op": "failed", "id": sandbox.id, "error": str(error), "ran": True})
        kill(sandbox.init)
        kill(sandbox.pid)

    def _reap(self) -> None:
        os.read(self._woken, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            sandbox = self._by_pid.pop(pid, None)
            if sandbox is not None:
                self._ended(sandbox, status)

    def _ended(self, sandbox: Started, status: int) -> None:
        del self._by_id[sandbox.id]
        for descriptor in (sandbox.info, sandbox.ready):
            if descriptor >= 0:
                self._forget(descriptor)
        sandbox.close()
        if sandbox.confined:
            self._end_orphans()
        self._send({"op": "exited", "id": sandbox.id, "status": os.waitstatus_to_exitcode(status)})

    def _end_orphans(self) -> None:
        """
        Kill adopted processes until there are none.

        Without a pid namespace this is how a whole tree goes: what a dead worker had started becomes ours.
        """
        for _ in range(_ORPHAN_ROUNDS):
            strangers = [pid for pid in children() if pid not in self._by_pid]
            if not strangers:
                return
            for pid in strangers:
                kill(pid)
            for pid in strangers:
                try:
                    os.waitpid(pid, 0)
                except ChildProcessError:
                    continue


def _end() -> None:
    raise EOFError


def _in_memory(text: str) -> int:
    handle = os.memfd_create("arguments", os.MFD_CLOEXEC)
    os.write(handle, text.encode("utf-8", "surrogateescape"))
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _in_network_of(pid: int, act: Callable[[], None], failure: str) -> None:
    """
    Do something inside the network of a sandbox. Joining a namespace cannot be undone, so a child does it.

    Raises:
        OSError: it failed; the text is ``failure`` and the reason.
    """
    said, say = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() != 0:
                kernel.enter_namespace(f"/proc/{pid}/ns/user")
            kernel.enter_namespace(f"/proc/{pid}/ns/net")
            act()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - a forked child must not go on as a second spawner
            os.write(say, str(error).encode())
        finally:
            os._exit(1)
    os.close(say)
    with open(said, encoding="utf-8") as complaint:  # noqa: PTH123 - a descriptor
        reason = complaint.read(4096)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise OSError(f"{failure}: {reason}")


def host_addresses() -> list[list[str]]:
    """
    Return every IPv4 address of this host that a sandbox could reach, as [address, mask] pairs.

    Loopback addresses are not among them, nor those in the helper's own network, which the helper refuses itself:
    its name server has one of them.
    """
    found: set[str] = set()
    address = ""
    with open("/proc/net/fib_trie", encoding="ascii") as table:  # noqa: PTH123 - keeps this process small
        for line in table:
            # An address, then a line for each interface that has it.
            if "|-- " in line:
                address = line.rpartition("|-- ")[2].strip()
            elif "/32 host LOCAL" in line and not address.startswith(_NOT_REACHED):
                found.add(address)
    return [[each, "255.255.255.255"] for each in sorted(found)]


def main() -> None:
    """Serve the socket given as first argument; show a directory at a reachable place if two more are given."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    if len(sys.argv) > 2:  # noqa: PLR2004
        kernel.show_directory_at(sys.argv[2], sys.argv[3])
    Spawner(control, be_guarded()).serve()


if __name__ == "__main__":
    main()
