"""The world that a check looks at, all of it real: name servers, a directory, nginx with rules, other web servers.
May import: agent, dnspython, tests.pebble, tests.product."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query

from agent.acme.check.surroundings import Address, Deadline, NameServers, Question, Surroundings
from agent.acme.order import Authorities
from agent.acme.spec import Authority, CertificateSpec, Finding, Level
from agent.config import AgentConfig
from agent.nginx.layout import Layout
from agent.nginx.machine import detect
from agent.nginx.wrapper import render
from panel.embedded.system_packages import find_program
from tests.pebble import make_certificate
from tests.product import UpstreamServer, find_nginx, free_ports, wait_until

LETS_ENCRYPT = Authority("1", "Let's Encrypt", "https://acme-v02.api.letsencrypt.org/directory")
NOBODY = Authority("2", "Nobody", "https://127.0.0.1:1/directory", is_test=True)
PASS = "location ^~ /.well-known/acme-challenge/ { proxy_pass http://waypost_agent; }"


@dataclass
class World:
    """One machine; `spec`, `surroundings` and `question` begin with what is fine."""

    config: AgentConfig
    layout: Layout
    name_servers: NameServers
    own: tuple[Address, ...] = (ipaddress.ip_address("127.0.0.1"),)

    def spec(self, *names: str, authority: Authority = NOBODY, **more: Any) -> CertificateSpec:
        return CertificateSpec("lineage", names, (authority,), **more)

    def surroundings(self, **more: Any) -> Surroundings:
        authorities = Authorities(self.config.state_dir / "acme", self.layout.webroot, "test")
        known: dict[str, Any] = {
            "authorities": authorities,
            "own_addresses": self.own,
            "has_ipv6": True,
            "name_servers": self.name_servers,
            **more,
        }
        return Surroundings(self.config, self.layout.webroot, **known)

    def question(self, spec: CertificateSpec, seconds: float = 5.0, **more: Any) -> Question:
        return Question(spec, spec.authorities[0], self.surroundings(**more), Deadline(seconds))


def make_world(folder: Path, name_servers: NameServers) -> World:
    http_port, https_port, status_port = free_ports(3)
    config = AgentConfig(
        folder / "agent",
        http_port=http_port,
        https_port=https_port,
        status_port=status_port,
        letsencrypt_dir=folder / "letsencrypt",
    )
    layout = Layout(config.nginx_dir)
    layout.make_folders()
    return World(config, layout, name_servers)


@contextmanager
def running_nginx(world: World, servers: str) -> Iterator[None]:
    """nginx with the agent's own wrapper around these server blocks; PORT and TLS_PORT stand for its ports."""
    folder, config = world.layout.root, world.config
    site = folder / "site.conf"
    site.write_text(servers.replace("TLS_PORT", str(config.https_port)).replace("PORT", str(config.http_port)))
    machine, _ = detect(config, world.layout)
    (folder / "nginx.conf").write_text(render(world.layout, machine, "r1", [site]))
    command = [find_nginx(), "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _connects(config.http_port), "nginx answers")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


ZONES = {
    "test": "delegated IN NS ns.nowhere.test.\n",
    "good.test": """
@ IN A 127.0.0.1
www IN CNAME @
both IN A 127.0.0.1
both IN AAAA ::1
six IN AAAA ::1
lan IN A 192.168.1.5
public IN A 203.0.113.5
meta IN A 169.254.169.254
shop IN CNAME shop.elsewhere.test.
_acme-challenge.delegated IN CNAME lineage.acme.elsewhere.test.
""",
    "elsewhere.test": """
shop IN A 127.0.0.1
shop IN CAA 0 issue "digicert.com"
lineage.acme IN TXT "old"
""",
    "caa.test": """
@ IN CAA 0 issue "letsencrypt.org"
@ IN A 127.0.0.1
a IN A 127.0.0.1
alias IN CNAME shop.elsewhere.test.
only.other IN A 127.0.0.1
other IN CAA 0 issue "digicert.com; note=x"
nobody IN CAA 0 issue ";"
wild IN CAA 0 issue "letsencrypt.org"
wild IN CAA 0 issuewild "digicert.com"
wildonly IN CAA 0 issuewild "letsencrypt.org"
critical IN CAA 128 tbs "Unknown"
harmless IN CAA 0 tbs "Unknown"
mail IN CAA 0 iodef "mailto:a@caa.test"
method IN CAA 0 issue "letsencrypt.org; validationmethods=dns-01"
methods IN CAA 0 issue "letsencrypt.org; validationmethods=dns-01,http-01"
account IN CAA 0 issue "letsencrypt.org; accounturi=https://ca.test/acct/1"
""",
    "broken.test": "@ IN A 127.0.0.1\n",
    "forged.test": "@ IN A 127.0.0.1\n",
}


@dataclass
class Names:
    """An authoritative server, and a resolver that checks signatures. `broken.test` fails in both, and the signatures
    of `forged.test` are wrong."""

    owner_port: int
    resolver_port: int

    @property
    def servers(self) -> NameServers:
        return NameServers((("127.0.0.1", self.resolver_port),), self.owner_port)


@contextmanager
def running_names(folder: Path) -> Iterator[Names]:
    """Two processes of BIND."""
    owner_port, resolver_port = free_ports(2)
    zones = "".join(f'zone "{zone}" {{ type primary; file "{folder}/{zone}.zone"; }};\n' for zone in ZONES)
    for zone, records in ZONES.items():
        head = f"$ORIGIN {zone}.\n$TTL 1\n@ IN SOA ns nobody 1 60 60 3600 1\n@ IN NS ns\nns IN A 127.0.0.1\n"
        (folder / f"{zone}.zone").write_text("nonsense\n" if zone == "broken.test" else head + records)
    wrong = 'trust-anchors { forged.test. static-key 257 3 13 "' + "A" * 86 + '=="; };\n'
    forwards = "".join(
        f'zone "{zone}" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {owner_port}; }}; }};\n'
        for zone in ZONES
    )
    owner = _named(folder, "owner", owner_port, "recursion no; dnssec-validation no;", zones)
    nowhere = "forward only; forwarders { 127.0.0.1 port 1; };"
    resolver = _named(
        folder, "resolver", resolver_port, f"recursion yes; dnssec-validation yes; {nowhere}", wrong + forwards
    )
    try:
        for port in (owner_port, resolver_port):
            wait_until(lambda number=port: _answers(number), "named answers")  # type: ignore[misc]
        yield Names(owner_port, resolver_port)
    finally:
        for process in (owner, resolver):
            process.kill()
            process.wait(10)


def _named(folder: Path, name: str, port: int, options: str, rest: str) -> subprocess.Popen[bytes]:
    work = folder / name
    work.mkdir()
    (work / "named.conf").write_text(
        f'options {{ directory "{work}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; '
        f"pid-file none; session-keyfile none; allow-query {{ any; }}; {options} }};\ncontrols {{ }};\n{rest}"
    )
    command = [find_program("named") or "named", "-f", "-c", str(work / "named.conf")]
    with (work / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def _answers(port: int) -> bool:
    try:
        reply = dns.query.udp(dns.message.make_query("good.test", "A"), "127.0.0.1", 1, port)
    except (dns.exception.DNSException, OSError):
        return False
    return bool(reply.answer)


@contextmanager
def running_silence() -> Iterator[int]:
    """A port where everything arrives, by TCP and by UDP, and nothing comes back."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        tcp.listen()
        yield int(tcp.getsockname()[1])


@dataclass
class DirectoryServer:
    """A directory and nothing behind it. `offset` is how far its clock is ahead."""

    authority: Authority
    meta: dict[str, Any] = field(default_factory=dict)
    offset: timedelta = timedelta()
    silence: threading.Event | None = None

    def with_(self, **more: Any) -> Authority:
        return replace(self.authority, **more)


@contextmanager
def running_directory(folder: Path) -> Iterator[DirectoryServer]:
    """An HTTPS server with the first page of an authority."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = make_certificate(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if server.silence is not None:
                server.silence.wait(30)
            names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
            body = json.dumps({**{name: f"{url}/{name}" for name in names}, "meta": server.meta}).encode()
            self.send_response_only(200)
            self.send_header("Date", format_datetime(datetime.now(UTC) + server.offset, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    with UpstreamServer(("127.0.0.1", 0), Handler) as listener:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, folder / "server.key")
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        listener.daemon_threads = True
        url = f"https://127.0.0.1:{listener.server_port}"
        ca_pem = certificate.read_text()
        authority = Authority("3", "Small CA", f"{url}/directory", ca_pem=ca_pem, is_test=True)
        server = DirectoryServer(authority)
        threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            listener.shutdown()


@dataclass
class Site:
    """Another web server: what it answers, and what it was asked for."""

    port: int
    status: int = 200
    body: bytes = b"<html>a site</html>"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def running_site(address: str = "127.0.0.1", port: int = 0) -> Iterator[Site]:
    """A web server that has nothing to do with us, on this port or a free one."""

    class Handler(BaseHTTPRequestHandler):
        def version_string(self) -> str:
            return "Elsewhere"

        def do_GET(self) -> None:
            site.asked.append(f"{self.headers['Host']}{self.path}")
            self.send_response_only(site.status)
            for name, value in {"Server": "Elsewhere", **site.headers}.items():
                self.send_header(name, value.replace("PATH", self.path))
            self.send_header("Content-Length", str(len(site.body)))
            self.end_headers()
            self.wfile.write(site.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    class Server(UpstreamServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    with Server((address, port), Handler) as server:
        server.daemon_threads = True
        site = Site(int(server.server_port))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield site
        finally:
            server.shutdown()


def of(findings: list[Finding], check: str) -> list[Finding]:
    """Those of one check."""
    return [finding for finding in findings if finding.check == check]


def only(findings: list[Finding]) -> Finding:
    """The one that there is."""
    (finding,) = findings
    return finding


def is_error(finding: Finding, cause: str) -> bool:
    return (finding.level, finding.cause) == (Level.ERROR, cause)
