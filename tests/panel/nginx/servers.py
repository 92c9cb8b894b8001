"""Real servers on free ports: nginx with a bundle, an upstream that tells what it got, a name server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gevent.server import DatagramServer, StreamServer

from panel.models import ProxyHost
from panel.nginx.bundle import ConfigBundle
from panel.nginx.render import CertificateFiles, NginxFacts
from tests.panel.nginx.hosts import host

CHALLENGE = "token.thumbprint"

# Starts an nginx with these hosts.
Serve = Callable[..., NginxFacts]


def free_port(address: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def has_ipv6() -> bool:
    try:
        free_port("::1")
    except OSError:
        return False
    return True


def nginx_version() -> tuple[int, ...]:
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    assert found, said
    return tuple(int(part) for part in found.groups())


def write_bundle(folder: Path, bundle: ConfigBundle, *, resolver: str = "") -> Path:
    """The bundle inside a wrapper like the agent's, with a challenge to answer; the path of its nginx.conf."""
    challenges = folder / "webroot/.well-known/acme-challenge"
    challenges.mkdir(parents=True, exist_ok=True)
    (challenges / "token").write_text(CHALLENGE)
    for file in bundle.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    includes = "".join(f"    include {folder / file.path};\n" for file in bundle.files)
    temps = "".join(f"    {kind}_temp_path {folder}/temp-{kind};\n" for kind in ("client_body", "proxy", "fastcgi"))
    conf = folder / "nginx.conf"
    conf.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        f"worker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log info;\n"
        "events { worker_connections 256; }\n"
        f"http {{\n    access_log off;\n    root {folder}/webroot;\n{temps}"
        f"    uwsgi_temp_path {folder}/temp-uwsgi;\n    scgi_temp_path {folder}/temp-scgi;\n"
        f"{f'    resolver {resolver} ipv6=off;' if resolver else ''}\n    resolver_timeout 2s;\n"
        f"{includes}}}\n"
    )
    return conf


def make_certificate(folder: Path) -> CertificateFiles:
    """A self-signed pair in a new folder."""
    folder.mkdir(parents=True)
    pair = CertificateFiles(f"{folder}/fullchain.pem", f"{folder}/privkey.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    paths = ["-keyout", pair.key, "-out", pair.chain, "-subj", "/CN=app.example.com"]
    subprocess.run([*command, *paths], check=True, capture_output=True)
    return pair


def run_test(folder: Path, bundle: ConfigBundle) -> str:
    """What `nginx -t` says of the bundle; "" when it has nothing to say but that all is well."""
    conf = write_bundle(folder, bundle, resolver="127.0.0.1")
    ran = subprocess.run(["nginx", "-t", "-q", "-c", str(conf)], capture_output=True, text=True)
    said = ran.stderr.strip()
    assert ran.returncode == 0 or said
    return said


class Nginx:
    """A running nginx. It listens when the constructor returns."""

    def __init__(self, folder: Path, bundle: ConfigBundle, *, resolver: str = "") -> None:
        self.folder = folder
        conf = write_bundle(folder, bundle, resolver=resolver)
        subprocess.run(["nginx", "-c", str(conf)], check=True, capture_output=True, text=True)

    @property
    def errors(self) -> str:
        return (self.folder / "error.log").read_text()

    def stop(self) -> None:
        os.kill(int((self.folder / "nginx.pid").read_text()), signal.SIGTERM)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def seen(self) -> dict[str, Any]:
        """What the upstream saw of the request."""
        seen: dict[str, Any] = json.loads(self.body)
        return seen


def ask(port: int, request: str, address: str = "127.0.0.1") -> Reply:
    """Sends these lines (with CRLF) and reads the one reply to the end of the connection or its length."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(10)
        connection.connect((address, port))
        connection.sendall(request.replace("\n", "\r\n").encode())
        return read_reply(connection)


def get(port: int, host: str, path: str = "/", extra: str = "", address: str = "127.0.0.1") -> Reply:
    return ask(port, f"GET {path} HTTP/1.1\nHost: {host}\n{extra}Connection: close\n\n", address)


def read_reply(connection: socket.socket) -> Reply:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        assert more, data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return Reply(int(lines[0].split(" ")[1]), headers, body.decode())


@dataclass
class Upstream:
    """An HTTP/1.1 server that answers with what it got, keeps connections, and echoes what follows an upgrade."""

    address: str = "127.0.0.1"
    headers: str = ""
    connections: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = StreamServer((self.address, 0), self._serve)
        self.server.start()

    @property
    def port(self) -> int:
        return int(self.server.server_port or 0)

    def stop(self) -> None:
        self.server.stop()

    def _serve(self, connection: socket.socket, _peer: object) -> None:
        self.connections += 1
        number = self.connections
        stream = connection.makefile("rwb")
        while line := stream.readline():
            headers: list[tuple[str, str]] = []
            while (header := stream.readline().decode("latin-1").strip()) != "":
                name, _, value = header.partition(":")
                headers.append((name.lower(), value.strip()))
            seen = {"line": line.decode().strip(), "headers": headers, "connection": number}
            self.requests.append(seen)
            if ("upgrade", "websocket") in headers:
                stream.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
                stream.flush()
                while data := connection.recv(4096):
                    connection.sendall(data)
                return
            stream.read(int(dict(headers).get("content-length", "0")))
            body = json.dumps(seen).encode()
            head = f"HTTP/1.1 200 OK\r\n{self.headers}Content-Length: {len(body)}\r\n\r\n"
            stream.write(head.encode() + body)
            stream.flush()


class NameServer:
    """Knows the names it is given, as 127.0.0.1; every other name does not exist."""

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)
        self.server = DatagramServer("127.0.0.1:0", self._answer)
        self.server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.server.stop()

    def _answer(self, query: Any, peer: Any) -> None:
        question = query[12:]
        labels, position = [], 0
        while length := question[position]:
            labels.append(question[position + 1 : position + 1 + length].decode())
            position += 1 + length
        asked = question[: position + 5]
        if ".".join(labels) in self.names:
            record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton("127.0.0.1")
            head = struct.pack(">HHHHHH", int.from_bytes(query[:2]), 0x8180, 1, 1, 0, 0)
        else:
            record = b""
            head = struct.pack(">HHHHHH", int.from_bytes(query[:2]), 0x8183, 1, 0, 0, 0)
        self.server.sendto(head + asked + record, peer)


def to(upstream: Upstream, **values: Any) -> ProxyHost:
    return host(**{"forward_host": "127.0.0.1", "forward_port": upstream.port, **values})


def header(reply: Reply, name: str) -> list[str]:
    return [value for seen, value in reply.seen["headers"] if seen == name]
