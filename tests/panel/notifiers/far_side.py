"""The far side of notifications: a mail server with STARTTLS and logins, and a web server that takes webhooks.
May import: aiosmtpd, cryptography, tests.product."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.product import UpstreamServer, free_ports

USER, PASSWORD = "waypost", "s3cret-Passw0rd"


@dataclass
class MailServer:
    """What it was given. `answer` may be changed by a test: what it says to DATA; `refused` are recipients."""

    port: int = 0
    ca_pem: str = ""
    mails: list[Message] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answer: str = "250 OK"
    refused: set[str] = field(default_factory=set)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return "550 no such person here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - and so
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.mails.append(message_from_bytes(content, policy=default))
            self.recipients.append(envelope.rcpt_tos)
        return self.answer


@contextmanager
def running_mail_server(folder: Path, *, secure: bool = False, echo: bool = False) -> Iterator[MailServer]:
    """`secure`: STARTTLS and a login are required. `echo`: a refused login is answered with what was given."""
    handler = MailServer(port=free_ports(1)[0])
    options: dict[str, Any] = {}
    if secure:
        handler.ca_pem, context = _tls(folder)
        options = {"tls_context": context, "require_starttls": True, "auth_required": True}
        options["authenticator"] = _judge(echo=echo)
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port, **options)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


def _judge(*, echo: bool) -> Callable[..., AuthResult]:
    def judge(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        if (given.login, given.password) == (USER.encode(), PASSWORD.encode()):
            return AuthResult(success=True)
        said = f"535 5.7.8 no {given.password.decode()} for {given.login.decode()}" if echo else None
        return AuthResult(success=False, handled=False, message=said)

    return judge


def _tls(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = folder / "mail.pem"
    chain.write_text(pem + key.private_bytes(*encoding).decode())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    return pem, context


@dataclass
class Hook:
    """A web server. `status` is what it answers; `requests` are paths and bodies."""

    port: int = 0
    status: int = 200
    location: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running_hook() -> Iterator[Hook]:
    """Takes every POST. It answers when `may_answer` is set, which it is unless a test clears it."""
    hook = Hook()
    hook.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            hook.requests.append((self.path, body))
            hook.came.set()
            hook.may_answer.wait(30)
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    with UpstreamServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hook.port = int(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield hook
        finally:
            hook.may_answer.set()
            server.shutdown()
