"""Who this agent is: its key, its certificate and where its panel listens, in files that only it can read.
May import: agent.errors."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import AgentError

# The SAN of the panel's server certificate. Its address may be anything; this name is what the CA certifies.
PANEL_NAME = "panel.waypost.internal"

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


@dataclass(frozen=True)
class Identity:
    """All that mutual TLS with the panel needs. PEM as text."""

    agent_id: str
    agent_name: str
    host: str
    stream_port: int
    ca_pem: str
    key_pem: str
    certificate_pem: str
    token_sha256: str = ""

    @property
    def target(self) -> str:
        """host:port for gRPC; an IPv6 address stands in brackets."""
        return f"[{self.host}]:{self.stream_port}" if ":" in self.host else f"{self.host}:{self.stream_port}"

    @property
    def expires_at(self) -> datetime:
        """When the certificate ends (UTC)."""
        return _validity(self.certificate_pem)[1]

    def is_expired(self, now: datetime) -> bool:
        """Whether the panel will refuse this certificate."""
        return now >= self.expires_at

    def is_due_for_renewal(self, now: datetime) -> bool:
        """Whether two thirds of the certificate's lifetime have passed."""
        start, end = _validity(self.certificate_pem)
        return now >= start + (end - start) * 2 / 3


@dataclass(frozen=True)
class SigningRequest:
    """A key, which stays here, and what the panel gets of it."""

    key_pem: str
    csr_pem: bytes


def load(folder: Path) -> Identity | None:
    """The stored identity, or None when this agent has never joined or the file is damaged."""
    try:
        stored = json.loads((folder / "identity.json").read_text())
        identity = Identity(**stored)
        identity.is_expired(datetime.now(UTC))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return identity


def save(folder: Path, identity: Identity) -> None:
    """Writes everything in one file by one rename, so that key and certificate always belong together."""
    write_private(folder / "identity.json", json.dumps(asdict(identity), indent=1).encode())
    (folder / "joining.key").unlink(missing_ok=True)


def joining_request(folder: Path) -> SigningRequest:
    """For a join that is under way: its key is kept until it ends, because a lost reply is asked for again with it.
    Raises AgentError."""
    path = folder / "joining.key"
    request = make_request(path.read_text() if path.exists() else "")
    write_private(path, request.key_pem.encode())
    return request


def make_request(key_pem: str = "") -> SigningRequest:
    """A request for this key, or for a new one. agent.keys makes it, in a process of its own. Raises AgentError."""
    command = [sys.executable, "-m", "agent.keys"]
    folder = Path(__file__).parents[1]
    try:
        done = subprocess.run(command, input=key_pem, cwd=folder, capture_output=True, text=True, timeout=30)
        made = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(f"The agent could not make a key ({error}).") from error
    except ValueError as error:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise AgentError(f"The agent could not make a key ({reason}).") from error
    return SigningRequest(made["key_pem"], made["csr_pem"].encode())


def read_der(certificate_pem: str) -> bytes:
    """The certificate inside the PEM. Raises ValueError."""
    match = _PEM.search(certificate_pem)
    if match is None:
        raise ValueError("not a certificate")
    return base64.b64decode("".join(match[1].split()), validate=True)


def _validity(certificate_pem: str) -> tuple[datetime, datetime]:
    """When a certificate begins and ends (UTC): RFC 5280, section 4.1. Raises ValueError."""
    try:
        ((_, certificate),) = _elements(read_der(certificate_pem))
        fields = _elements(_elements(certificate)[0][1])
        start, end = _elements(fields[4][1])  # after version, serial number, algorithm and issuer
        return _moment(*start), _moment(*end)
    except IndexError as error:
        raise ValueError("not a certificate") from error


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each DER element. Raises IndexError or ValueError when there is something else."""
    found, at = list[tuple[int, bytes]](), 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size]), at + size
        if at + length > len(data):
            raise ValueError("cut off")
        found.append((tag, data[at : at + length]))
        at += length
    return found


def _moment(tag: int, text: bytes) -> datetime:
    """UTCTime, or GeneralizedTime from 2050 on."""
    return datetime.strptime(text.decode("ascii"), "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ").replace(
        tzinfo=UTC
    )


def write_private(path: Path, data: bytes) -> None:
    """Writes a 0600 file by rename, durably; its folder becomes 0700."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
