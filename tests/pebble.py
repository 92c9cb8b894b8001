"""A real ACME authority (Pebble) on free ports; its DNS and a web server for its challenges come with it.
May import: tests.challtestsrv, tests.pebble_download, tests.product, tests.webroot, cryptography, requests."""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.challtestsrv import Challtestsrv, installed, running_challtestsrv
from tests.pebble_download import newer_pebble
from tests.product import free_ports, wait_until
from tests.webroot import Webroot, running_webroot

__all__ = [
    "EAB_KEYS",
    "Challtestsrv",
    "Pebble",
    "Webroot",
    "make_certificate",
    "newer_pebble",
    "running_challtestsrv",
    "running_pebble",
    "running_webroot",
]

EAB_KEYS = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


@dataclass
class Pebble:
    """One authority. It keeps everything in memory: `restart` makes it forget accounts, orders and certificates."""

    folder: Path
    binary: Path
    settings: dict[str, Any]
    environment: dict[str, str]
    port: int
    management_port: int
    http_port: int
    dns_server: str
    ca_file: Path
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def directory_url(self) -> str:
        """Where a client begins."""
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def management_url(self) -> str:
        """Pebble's own interface for tests."""
        return f"https://127.0.0.1:{self.management_port}"

    @property
    def ca_pem(self) -> str:
        """Who signed the certificate of the directory itself."""
        return self.ca_file.read_text()

    @property
    def log(self) -> str:
        """What it printed so far."""
        return (self.folder / "pebble.log").read_text(errors="replace")

    def start(self) -> Pebble:
        """Starts the program and returns when it answers."""
        command = [str(self.binary), "-config", str(self.folder / "pebble.json")]
        command += ["-dnsserver", self.dns_server] if self.dns_server else []
        command += self.arguments
        with (self.folder / "pebble.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        wait_until(self._answers, "Pebble answers")
        return self

    def stop(self) -> None:
        """Kills it, as a machine does that loses its power."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def restart(self) -> None:
        """The same addresses, another root, and no memory."""
        self.stop()
        self.start()

    def root_pem(self, number: int = 0) -> str:
        """The root of one of its chains."""
        return self._get(f"/roots/{number}").text

    def status_of(self, leaf_pem: str) -> str:
        """ "Valid" or "Revoked" """
        serial = x509.load_pem_x509_certificate(leaf_pem.encode()).serial_number
        return str(self._get(f"/cert-status-by-serial/{serial:x}").json()["Status"])

    def set_renewal_info(self, leaf_pem: str, text: str) -> None:
        """What it answers, word for word, when it is asked about this certificate (newer Pebble only)."""
        body = json.dumps({"Certificate": leaf_pem, "ARIResponse": text})
        answer = requests.post(f"{self.management_url}/set-renewal-info/", body, verify=str(self.ca_file), timeout=10)
        answer.raise_for_status()

    def issued(self) -> int:
        """How many certificates it issued since it was started first."""
        return self.log.count("Issued certificate serial")

    def _get(self, path: str) -> requests.Response:
        answer = requests.get(self.management_url + path, verify=str(self.ca_file), timeout=10)
        answer.raise_for_status()
        return answer

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return requests.get(self.directory_url, verify=str(self.ca_file), timeout=5).ok
        except requests.ConnectionError:
            return False


@contextmanager
def running_pebble(
    folder: Path,
    *,
    http_port: int = 0,
    https_port: int = 0,
    dns_server: str = "",
    binary: Path | None = None,
    nosleep: bool = True,
    nonce_reject: int = 0,
    authz_reuse: int = 0,
    eab: bool = False,
    environment: Mapping[str, str] | None = None,
    arguments: tuple[str, ...] = (),
    **settings: Any,
) -> Iterator[Pebble]:
    """A Pebble that runs inside the block and validates on `http_port` (0: a free one, told by `Pebble.http_port`).

    `settings` go into its configuration as they are: retryAfter, profiles, domainBlocklist, keyAlgorithm …;
    `environment` too: PEBBLE_VA_SLEEPTIME, PEBBLE_VA_ALWAYS_VALID, PEBBLE_CHAIN_LENGTH … `nonce_reject` and
    `authz_reuse` are percents. Skips the test where no Pebble is installed.
    """
    program = binary or installed("pebble")
    port, management_port, free_http, free_https = free_ports(4)
    folder.mkdir(parents=True, exist_ok=True)
    ca_file = make_certificate(folder)
    configuration = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management_port}",
        "certificate": str(folder / "server.pem"),
        "privateKey": str(folder / "server.key"),
        "httpPort": http_port or free_http,
        "tlsPort": https_port or free_https,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": eab,
        **({"externalAccountMACKeys": EAB_KEYS} if eab else {}),
        **settings,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": configuration}))
    variables = {
        "PEBBLE_VA_NOSLEEP": "1" if nosleep else "0",
        "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
        "PEBBLE_AUTHZREUSE": str(authz_reuse),
    }
    pebble = Pebble(
        folder,
        program,
        configuration,
        {**os.environ, **variables, **(environment or {})},
        port,
        management_port,
        http_port or free_http,
        dns_server,
        ca_file,
        arguments,
    )
    try:
        yield pebble.start()
    finally:
        pebble.stop()


def make_certificate(folder: Path, *more: str, age: timedelta = timedelta(days=1)) -> Path:
    """Writes server.pem and server.key for 127.0.0.1, localhost and more names, self-signed; whom a client must
    trust. A negative `age` is that of one that is not valid yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {secrets.token_hex(4)}")])
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *(x509.DNSName(one) for one in ("localhost", *more))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - age)
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
