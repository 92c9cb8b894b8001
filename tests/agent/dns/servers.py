"""Real name servers with zones of a test: Knot and BIND, on free ports of loopback addresses.
May import: agent.dns, dnspython, pytest, tests.product."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.tsigkeyring
import dns.update
import pytest

from agent.dns.credential import DnsCredential
from agent.dns.spec import DnsSettings
from tests.product import free_ports, wait_until

KEY = base64.b64encode(b"a key that only these tests know").decode()
KNOTD = shutil.which("knotd") or ("/usr/sbin/knotd" if Path("/usr/sbin/knotd").exists() else "")
NAMED = shutil.which("named") or ("/usr/sbin/named" if Path("/usr/sbin/named").exists() else "")

needs_knot = pytest.mark.skipif(not KNOTD, reason="knotd is not installed")
needs_named = pytest.mark.skipif(not NAMED, reason="named is not installed")

_KNOT = """
server:
    rundir: "{folder}"
    listen: [ {address}@{port} ]
    tcp-io-timeout: 2000
database:
    storage: "{folder}/db"
log:
  - target: "{folder}/log"
    any: info
key:
  - id: waypost
    algorithm: hmac-sha256
    secret: {key}
  - id: reader
    algorithm: hmac-sha256
    secret: {key}
acl:
  - id: updates
    key: waypost
    action: update
    update-type: [ TXT ]
template:
  - id: default
    storage: "{folder}"
    file: "%s.zone"
    acl: updates
    journal-content: none
    zonefile-sync: -1
zone:
"""
_NAMED = """
options {{ directory "{folder}"; listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }}; recursion no;
  pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key"; dnssec-validation no; notify no; }};
controls {{ }};
key "waypost" {{ algorithm hmac-sha256; secret "{key}"; }};
key "reader" {{ algorithm hmac-sha256; secret "{key}"; }};
"""
_NAMED_ZONE = """
zone "{zone}" {{ type primary; file "{zone}.zone"; update-policy {{ grant waypost subdomain {zone}. TXT; }}; }};
"""


@dataclass
class NameServer:
    """One running server."""

    address: str
    port: int
    process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """It answers no more."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    @property
    def settings(self) -> DnsSettings:
        """This server is all the world."""
        return DnsSettings(f"{self.address}:{self.port}")

    def credential(self, **fields: str) -> DnsCredential:
        """What may edit its zones; other fields make it wrong."""
        values = {"server": f"{self.address}:{self.port}", "key_name": "waypost", "secret": KEY, **fields}
        return DnsCredential("1", "Test", "rfc2136", values)

    def texts(self, name: str) -> set[str]:
        """The TXT values that it shows."""
        answer = self.ask(name, "TXT")
        assert answer is not None
        return {value.to_text().strip('"') for rrset in answer.answer for value in rrset if rrset.rdtype == 16}

    def ask(self, name: str, kind: str) -> dns.message.Message | None:
        """None while it does not answer."""
        query = dns.message.make_query(name + ".", kind)
        try:
            return dns.query.udp(query, self.address, timeout=1.0, port=self.port)
        except (dns.exception.DNSException, OSError):
            return None

    def put(self, zone: str, name: str, value: str) -> None:
        """As another person with the key does it."""
        update = dns.update.UpdateMessage(zone + ".", keyring=dns.tsigkeyring.from_text({"waypost": KEY}))
        update.add(name + ".", 60, "TXT", f'"{value}"')
        answer = dns.query.tcp(update, self.address, timeout=5, port=self.port)
        assert answer.rcode() == 0, answer


def zone_text(zone: str, records: str = "", *, addresses: tuple[str, ...] = ("127.0.0.1",)) -> str:
    """A zone whose name servers are at these addresses."""
    servers = "".join(f"@ IN NS ns{number}\nns{number} IN A {address}\n" for number, address in enumerate(addresses, 1))
    return f"$ORIGIN {zone}.\n$TTL 1\n@ IN SOA ns1 nobody 1 60 60 3600 1\n{servers}@ IN A 127.0.0.1\n{records}\n"


def free_port(*addresses: str) -> int:
    """A port that is free for UDP and TCP at all these addresses."""
    for _ in range(50):
        sockets: list[socket.socket] = []
        try:
            (port,) = free_ports(1)
            for address in addresses:
                sockets.append(socket.create_server((address, port)))
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sockets[-1].bind((address, port))
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
        return port
    raise AssertionError("no free port")


@contextmanager
def knot(folder: Path, zones: Mapping[str, str], address: str = "127.0.0.1", port: int = 0) -> Iterator[NameServer]:
    """knotd with these zones (name to text), which the key `waypost` may change."""
    server = NameServer(address, port or free_port(address))
    _write(folder, zones)
    text = _KNOT.format(folder=folder, address=address, port=server.port, key=KEY)
    (folder / "knot.conf").write_text(text + "".join(f"  - domain: {zone}\n" for zone in zones))
    with _running([KNOTD, "-c", str(folder / "knot.conf")], server, zones):
        yield server


@contextmanager
def bind(folder: Path, zones: Mapping[str, str]) -> Iterator[NameServer]:
    """named with these zones; the key `reader` may change nothing."""
    server = NameServer("127.0.0.1", free_port("127.0.0.1"))
    _write(folder, zones)
    text = _NAMED.format(folder=folder, address=server.address, port=server.port, key=KEY)
    (folder / "named.conf").write_text(text + "".join(_NAMED_ZONE.format(zone=zone) for zone in zones))
    with _running([NAMED, "-f", "-n", "1", "-c", str(folder / "named.conf")], server, zones):
        yield server


def _write(folder: Path, zones: Mapping[str, str]) -> None:
    (folder / "db").mkdir(parents=True, exist_ok=True)
    for zone, text in zones.items():
        (folder / f"{zone}.zone").write_text(text)


@contextmanager
def _running(command: list[str], server: NameServer, zones: Mapping[str, str]) -> Iterator[None]:
    server.process = process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: all(_answers(server, zone) for zone in zones), f"{command[0]} answers", 15)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers(server: NameServer, zone: str) -> bool:
    answer = server.ask(zone, "SOA")
    return answer is not None and bool(answer.answer)
