"""An HTTPS front before Pebble: passes everything on, but answers what it is told to, because Pebble has no limits.
May import: tests.pebble, requests."""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import requests

from tests.pebble import Pebble, make_certificate
from tests.product import UpstreamServer

PREFIX = "urn:ietf:params:acme:error:"
_HOP = {"connection", "content-length", "transfer-encoding", "content-encoding", "date"}


@dataclass
class Reply:
    """What the front answers."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class _Rule:
    path: re.Pattern[str]
    change: Callable[[Reply | None], Reply]
    left: int
    passes: bool
    loses: bool = False
    judge: Callable[[dict[str, Any]], Reply | None] | None = None


@dataclass
class Front:
    """`seen` are the requests: method and path. Its certificate is its own: `ca_pem` signs it."""

    port: int
    ca_pem: str
    seen: list[str] = field(default_factory=list)
    payloads: list[dict[str, Any]] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)

    @property
    def directory_url(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    def answer(self, path: str, reply: Reply, times: int = 1) -> None:
        """The next requests of this path never reach Pebble."""
        self.rules.append(_Rule(re.compile(path), lambda _: reply, times, passes=False))

    def refuse(self, path: str, kind: str, detail: str, status: int = 400, *, times: int = 1, **more: Any) -> None:
        """The same with a problem document; `headers` go beside it."""
        self.answer(path, as_problem(kind, detail, status, **more), times)

    def judge(self, path: str, judge: Callable[[dict[str, Any]], Reply | None]) -> None:
        """Looks at what each request of this path says, and answers itself or lets Pebble answer."""
        self.rules.append(_Rule(re.compile(path), _unchanged, 99, passes=True, judge=judge))

    def change(self, path: str, change: Callable[[dict[str, Any]], None], times: int = 1, **headers: str) -> None:
        """Lets Pebble answer, and changes the JSON and the headers on the way back."""

        def apply(reply: Reply | None) -> Reply:
            assert reply is not None
            document = json.loads(reply.body)
            change(document)
            added = {name.replace("_", "-"): value for name, value in headers.items()}
            return Reply(reply.status, json.dumps(document).encode(), {**reply.headers, **added})

        self.rules.append(_Rule(re.compile(path), apply, times, passes=True))

    def lose(self, path: str, times: int = 1) -> None:
        """Pebble does it, but the connection breaks before anybody hears of it."""

        self.rules.append(_Rule(re.compile(path), _unchanged, times, passes=True, loses=True))

    def fail_names(self, kind: str, detail: str, times: int = 99) -> None:
        """Every authorization is refused for this reason, as if the authority had looked."""

        def change(document: dict[str, Any]) -> None:
            if any(challenge["status"] in {"valid", "processing"} for challenge in document["challenges"]):
                document["status"] = "invalid"
                for challenge in document["challenges"]:
                    challenge["status"] = "invalid"
                    challenge["error"] = {"type": PREFIX + kind, "detail": detail, "status": 403}

        self.change("^/authZ/", change, times)

    def count(self, path: str) -> int:
        """How many requests of this path there were."""
        return sum(1 for line in self.seen if re.search(path, line.split()[1]))

    def reply_to(self, path: str, payload: dict[str, Any], backend: Callable[[], Reply]) -> Reply | None:
        """What is answered; None breaks the connection. The rule that decides is used up once."""
        rule = next((rule for rule in self.rules if rule.left > 0 and rule.path.search(path)), None)
        if rule is None:
            return backend()
        rule.left -= 1
        if rule.judge is not None:
            return rule.judge(payload) or backend()
        reply = rule.change(backend() if rule.passes else None)
        return None if rule.loses else reply


def _unchanged(reply: Reply | None) -> Reply:
    assert reply is not None
    return reply


def as_problem(kind: str, detail: str, status: int = 400, **more: Any) -> Reply:
    """A problem document (RFC 7807); `headers` go beside it."""
    headers = {"Content-Type": "application/problem+json", **more.pop("headers", {})}
    body = json.dumps({"type": PREFIX + kind, "detail": detail, "status": status, **more}).encode()
    return Reply(status, body, headers)


@contextmanager
def running_front(folder: Path, pebble: Pebble, *, age: timedelta = timedelta(days=1)) -> Iterator[Front]:
    """A front inside the block; `age` is that of its certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_file = make_certificate(folder, age=age)
    front = Front(0, ca_file.read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with UpstreamServer(("127.0.0.1", 0), _handler(front, pebble)) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        front.port = int(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield front
        finally:
            server.shutdown()


def _handler(front: Front, pebble: Pebble) -> type[BaseHTTPRequestHandler]:
    """What answers for this front."""
    backend = requests.Session()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on()

        def do_HEAD(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            front.seen.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            payload = _payload(body)
            front.payloads.append(payload)
            reply = front.reply_to(self.path, payload, lambda: _ask(backend, pebble, self, body))
            if reply is None:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            if "Date" not in reply.headers:
                self.send_header("Date", self.date_time_string())
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    return Handler


def _ask(backend: requests.Session, pebble: Pebble, request: BaseHTTPRequestHandler, body: bytes) -> Reply:
    """What Pebble answers to the same request."""
    answer = backend.request(
        request.command,
        f"https://127.0.0.1:{pebble.port}{request.path}",
        data=body or None,
        headers={name: value for name, value in request.headers.items() if name.lower() != "content-length"},
        verify=str(pebble.ca_file),
        timeout=30,
        allow_redirects=False,
    )
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
    return Reply(answer.status_code, answer.content, headers)


def _payload(body: bytes) -> dict[str, Any]:
    """What a signed request says; empty for one that says nothing."""
    try:
        text = json.loads(body)["payload"]
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) or b"{}")
    except (ValueError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}
