"""Fifty applies under load: which requests fail, on new connections and on connections that are kept.
May import: benchmarks.operator, tests.product. Run: python -m benchmarks.reloads [applies]

Requests on new connections must never fail. A kept connection may be closed by an old worker while it is idle, and a
request that is sent at that moment meets a closed connection: where nginx has keepalive_min_timeout (1.27.4) that must
not happen either; on an older one such closes are counted apart, and every client repeats these requests by itself.
"""

from __future__ import annotations

import collections
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.operator import Operator
from tests.product import Product, fetch, free_ports, running_product, wait_until

SITE = "load.example.test"
EDITED = "edited.example.test"
CLIENTS = 4  # of each kind


class End(StrEnum):
    """How a request ended."""

    ANSWERED = "answered 200 in full"
    CLOSED_IDLE = "closed while idle, before a byte was sent"
    CLOSED_UNDER = "closed as the request came, without an answer"
    CUT = "cut in the middle of an answer"
    REFUSED = "connection refused"
    RESET = "reset before a connection stood"
    TIMED_OUT = "no answer within 5 s"
    WRONG = "another answer than 200"


# What an idle connection's end looks like from outside; HTTP asks clients to expect it and to send again.
IDLE_CLOSES = {End.CLOSED_IDLE, End.CLOSED_UNDER}


@dataclass
class Load:
    """Clients that ask as fast as they get answers. Use it as a context manager."""

    port: int
    keeps: bool
    ends: collections.Counter[End] = field(default_factory=collections.Counter)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask_on_and_on, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    @property
    def failed(self) -> dict[End, int]:
        """Ends that are none of a served request."""
        return {end: count for end, count in self.ends.items() if end is not End.ANSWERED}

    def _ask_on_and_on(self) -> None:
        client = Client(self.port, keeps=self.keeps)
        while not self._stop.is_set():
            end = client.ask()
            with self._lock:
                self.ends[end] += 1
        client.close()


class Client:
    """One raw HTTP/1.1 client that knows at which byte a connection ended."""

    def __init__(self, port: int, *, keeps: bool) -> None:
        self._port, self._keeps = port, keeps
        self._connection: socket.socket | None = None
        words = "keep-alive" if keeps else "close"
        self._request = f"GET / HTTP/1.1\r\nHost: {SITE}\r\nConnection: {words}\r\n\r\n".encode()

    def ask(self) -> End:
        """One request; the connection is kept for the next one when both sides want that."""
        is_kept = self._connection is not None
        if self._connection is None:
            try:
                self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=5)
            except ConnectionRefusedError:
                return End.REFUSED
            except ConnectionResetError:
                return End.RESET
            except TimeoutError:
                return End.TIMED_OUT
        end, may_go_on = self._exchange(self._connection, is_kept=is_kept)
        if not may_go_on:
            self.close()
        return end

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, connection: socket.socket, *, is_kept: bool) -> tuple[End, bool]:
        if is_kept and _is_closed(connection):
            return End.CLOSED_IDLE, False
        data = b""
        try:
            connection.sendall(self._request)
            while not _is_complete(data):
                more = connection.recv(65536)
                if not more:
                    return (End.CUT if data else End.CLOSED_UNDER), False
                data += more
        except TimeoutError:
            return End.TIMED_OUT, False
        except (ConnectionResetError, BrokenPipeError):
            return (End.CUT if data else End.CLOSED_UNDER), False
        head = data.partition(b"\r\n\r\n")[0].lower()
        good = head.startswith(b"http/1.1 200 ")
        return (End.ANSWERED if good else End.WRONG), self._keeps and b"connection: close" not in head


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side has ended it already: a client that looks before it sends loses nothing."""
    connection.settimeout(0)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        connection.settimeout(5)


def _is_complete(data: bytes) -> bool:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    name = b"content-length:"
    length = next(line[len(name) :] for line in head.lower().split(b"\r\n") if line.startswith(name))
    return len(body) >= int(length)


def main(applies: int) -> int:
    """Prints both tables; the exit status is 1 when a request was dropped that must not be."""
    with (
        tempfile.TemporaryDirectory() as folder,
        upstreams(Path(folder)) as (even, odd),
        running_product(Path(folder) / "var", PANEL_APPLY_WINDOW="0.1") as product,
        Operator(product) as operator,
    ):
        operator.set_up(product.setup_link)
        product.wait_online()
        version, agent_id = product.query("SELECT nginx_version, id FROM agent")[0]
        for name in (SITE, EDITED):
            operator.open("/hosts/new")
            operator.save_host("/hosts/new", agent_id, name, even, "apply")
        wait_until(lambda: served(product, EDITED) == "even" and served(product, SITE) == "even", "both are served")
        with Load(product.http_port, keeps=False) as fresh, Load(product.http_port, keeps=True) as kept:
            for number in range(applies):
                apply(product, operator, agent_id, (odd, even)[number % 2], ("odd", "even")[number % 2])
        return report(applies, version, fresh, kept)


@contextmanager
def upstreams(folder: Path) -> Iterator[tuple[int, int]]:
    """An nginx of its own that answers "even" and "odd" on two ports, so that the load is not the upstream's."""
    even, odd = free_ports(2)
    servers = "".join(
        f'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{word}"; }} }}\n'
        for port, word in ((even, "even"), (odd, "odd"))
    )
    conf = folder / "upstreams.conf"
    conf.write_text(
        f"pid {folder}/upstreams.pid; error_log {folder}/upstreams.log; events {{ }}\n"
        f"http {{ access_log off; keepalive_requests 1000000; {servers} }}\n"
    )
    process = subprocess.Popen(["nginx", "-c", str(conf), "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        yield even, odd
    finally:
        process.terminate()
        process.wait(10)


def apply(product: Product, operator: Operator, agent_id: str, port: int, word: str) -> None:
    """One edit of another host, until it is served."""
    operator.open("/hosts/2/edit")
    operator.save_host("/hosts/2/edit", agent_id, EDITED, port, "apply")
    wait_until(lambda: served(product, EDITED) == word, "the edit is served", timeout=60)


def served(product: Product, name: str) -> str:
    """The upstream that answers now."""
    return fetch(product.http_port, name).body.split("\n")[0]


def report(applies: int, version: str, fresh: Load, kept: Load) -> int:
    """Both tables; 1 when something was lost."""
    can_keep = tuple(map(int, version.split("."))) >= (1, 27, 4)
    print(f"{applies} applies under load, nginx {version} ({'with' if can_keep else 'without'} keepalive_min_timeout)")
    for title, load in (("new connections", fresh), ("kept connections", kept)):
        print(f"\n{title}: {sum(load.ends.values())} requests")
        for end in End:
            if load.ends[end] or end is End.ANSWERED:
                print(f"  {load.ends[end]:>8}  {end}")
    idle = sum(kept.ends[end] for end in IDLE_CLOSES)
    lost = sum(fresh.failed.values()) + sum(kept.failed.values()) - (0 if can_keep else idle)
    print(f"\nlost: {lost} (aim: 0)", end="")
    print("" if can_keep else f"; idle connections that nginx closed between requests: {idle}, counted apart")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
