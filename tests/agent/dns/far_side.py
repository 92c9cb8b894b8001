"""An HTTP API played by a test: a function decides, and everything that was asked is kept.
May import: the standard library."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass
class Said:
    """One answer: JSON, or bytes as they are."""

    status: int
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FarSide:
    """The API while it runs. `first` are answers that come before the function is asked."""

    url: str
    answer: Callable[[Asked], Said]
    first: list[Said] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    broken: int = 0  # so many connections are cut without an answer

    def handle(self, asked: Asked) -> Said:
        self.asked.append(asked)
        return self.first.pop(0) if self.first else self.answer(asked)

    def calls(self) -> list[str]:
        """Methods and paths."""
        return [f"{asked.method} {asked.path}" for asked in self.asked]


@contextmanager
def far_side(answer: Callable[[Asked], Said]) -> Iterator[FarSide]:
    """Plays the API until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer_it(self) -> None:
            if side.broken:
                side.broken -= 1
                self.close_connection = True
                return
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            said = side.handle(Asked(self.command, unquote(parts.path), query, dict(self.headers), body))
            data = said.data if isinstance(said.data, bytes) else json.dumps(said.data).encode()
            data = b"" if said.data is None else data
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer_it  # noqa: N815 - the base class calls them so

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    side = FarSide(f"http://127.0.0.1:{server.server_port}", answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield side
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
