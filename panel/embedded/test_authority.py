"""The certificate authority of a laptop: Pebble, and a name server in which every name leads to this machine.
May import: the standard library, cryptography, panel.embedded.{ports,system_packages}."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from panel.embedded.ports import Port
from panel.embedded.system_packages import find_program

SWITCH = "WAYPOST_TEST_AUTHORITY"
LOOPBACK = "127.0.0.1"
DIRECTORY_PATH = "/dir"
# Agents remember the certificate below for as long as they renew by it, so it stays the same from run to run.
LIFETIME, REST_AT_LEAST = timedelta(days=10 * 365), timedelta(days=365)
CERTIFICATE_SECONDS = 90 * 24 * 3600  # what Let's Encrypt gives in 2026; Pebble's own default is five years


@dataclass(frozen=True)
class TestAuthority:
    """Pebble and its name server (pebble-challtestsrv), which only this machine can reach. Ports are TCP ports; that
    of the name server is UDP too."""

    __test__ = False  # pytest takes every class called Test… for one of its own

    folder: Path
    pebble: str
    name_server: str
    port: int
    management_port: int
    dns_port: int
    dns_management_port: int

    @property
    def directory_url(self) -> str:
        """Where ACME begins (RFC 8555 section 7.1.1)."""
        return f"https://{LOOPBACK}:{self.port}{DIRECTORY_PATH}"

    @property
    def ca_file(self) -> Path:
        """Who signed Pebble's own TLS certificate: made here, trusted by panel and agent for this directory only."""
        return self.folder / "pebble.pem"

    def ports(self) -> list[Port]:
        """Every TCP port that the two listen on."""
        return [
            Port(self.port, LOOPBACK, "the test authority", "PEBBLE_PORT"),
            Port(self.management_port, LOOPBACK, "the test authority's roots", "PEBBLE_MANAGEMENT_PORT"),
            Port(self.dns_port, LOOPBACK, "the test authority's name server", "PEBBLE_DNS_PORT"),
            Port(self.dns_management_port, LOOPBACK, "records of that name server", "PEBBLE_DNS_MANAGEMENT_PORT"),
        ]

    def panel_environment(self) -> dict[str, str]:
        """By what the panel knows it."""
        return {
            "PANEL_ACME_DIRECTORY": self.directory_url,
            "PANEL_ACME_CA_FILE": str(self.ca_file),
            "PANEL_ACME_DNS_SERVER": f"{LOOPBACK}:{self.dns_port}",
        }

    def environment(self) -> dict[str, str]:
        """What the two programs see: no secret of the panel, and Pebble's own switches as the person set them."""
        own = {name: value for name, value in os.environ.items() if name.startswith("PEBBLE_")}
        return {"PATH": os.environ.get("PATH", ""), "PEBBLE_VA_NOSLEEP": "1", **own}

    def pebble_command(self) -> list[str]:
        """Pebble in the foreground; it forgets accounts and certificates when it ends."""
        config = self.folder / "pebble.json"
        return [self.pebble, "-config", str(config), "-dnsserver", f"{LOOPBACK}:{self.dns_port}"]

    def name_server_command(self) -> list[str]:
        """A name server that answers 127.0.0.1 for every name and has no IPv6 address for any."""
        listen = {
            "-dns01": f"{LOOPBACK}:{self.dns_port}",
            "-management": f"{LOOPBACK}:{self.dns_management_port}",
            "-defaultIPv4": LOOPBACK,
        }
        switched_off = dict.fromkeys(("-defaultIPv6", "-http01", "-https01", "-tlsalpn01"), "")
        return [self.name_server, *(word for pair in {**listen, **switched_off}.items() for word in pair)]

    def write_files(self, http_port: int, tls_port: int) -> None:
        """Pebble's configuration, and its TLS certificate unless the one from before still fits. The two ports are
        where it asks for challenges. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file = self.folder / "pebble.key"
        if not _still_fits(self.ca_file, key_file):
            key_pem, certificate_pem = _make_certificate(datetime.now(UTC))
            _write(key_file, key_pem)
            _write(self.ca_file, certificate_pem)
        settings = {
            "listenAddress": f"{LOOPBACK}:{self.port}",
            "managementListenAddress": f"{LOOPBACK}:{self.management_port}",
            "certificate": str(self.ca_file),
            "privateKey": str(key_file),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "certificateValidityPeriod": CERTIFICATE_SECONDS,
            "profiles": {"default": {"description": "90 days", "validityPeriod": CERTIFICATE_SECONDS}},
        }
        _write(self.folder / "pebble.json", json.dumps({"pebble": settings}, indent=2).encode())


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether a run starts one. Raises ValueError(sentence) for a word that says neither."""
    word = environment.get(SWITCH, "").strip().lower() or "on"
    if word not in {"on", "off"}:
        raise ValueError(f"{SWITCH}: use on or off, not {word!r}.")
    return word == "on"


def find_programs() -> tuple[str, str] | None:
    """Pebble and pebble-challtestsrv as paths; None when the machine has not both. (Canonical's Pebble, a service
    manager, comes without the second.)"""
    pebble, name_server = find_program("pebble"), find_program("pebble-challtestsrv")
    return (pebble, name_server) if pebble and name_server else None


def _still_fits(certificate_file: Path, key_file: Path) -> bool:
    """Whether certificate and key are there, belong together and have a year left."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    has_time = certificate.not_valid_after_utc - datetime.now(UTC) > REST_AT_LEAST
    return has_time and key.public_key() == certificate.public_key()


def _make_certificate(now: datetime) -> tuple[bytes, bytes]:
    """Key and certificate in PEM. It signs itself, so that who trusts it trusts nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Waypost test authority")])
    names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address(LOOPBACK))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    key_pem = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key_pem, certificate.public_bytes(encoding)


def _write(path: Path, content: bytes) -> None:
    """0600 from the start; the old file stays until the new one is whole."""
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
