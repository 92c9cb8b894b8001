"""A plain web server over a webroot, as nginx is for challenges; it can be told to answer something else.
May import: tests.product."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.product import UpstreamServer


@dataclass
class Webroot:
    """A plain web server over a webroot. `answers` replaces what stands there: status, body and headers by path."""

    folder: Path
    port: int
    answer: tuple[int, bytes, dict[str, str]] | None = None
    asked: list[str] = field(default_factory=list)


@contextmanager
def running_webroot(folder: Path) -> Iterator[Webroot]:
    """What nginx does for challenges, on a free port inside the block."""
    folder.mkdir(parents=True, exist_ok=True)
    webroot = Webroot(folder, 0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            webroot.asked.append(f"{self.headers['Host']}{self.path}")
            path = webroot.folder / self.path.lstrip("/")
            found = (200, path.read_bytes(), {}) if path.is_file() else (404, b"no such file", dict[str, str]())
            status, body, headers = webroot.answer or found
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    with UpstreamServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        webroot.port = int(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield webroot
        finally:
            server.shutdown()
