"""What an agent says of one certificate, as plain values, and how that is written into its row.
May import: panel.models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from panel.i18n import mark
from panel.models import Certificate, CertificateSource

_PATH = re.compile(r"\A/[A-Za-z0-9_.@+,=:/ -]+\Z")
_MISPLACED = mark("The agent says that it lies outside of its folder of certificates, where nginx must not read it.")

_REPORTED = (
    "serial",
    "sha256",
    "issuer",
    "not_before",
    "not_after",
    "chain_path",
    "key_path",
    "revoked_at",
    "next_action",
    "next_action_at",
    "window_start",
    "window_end",
    "window_url",
    "failures",
    "last_failure",
    "last_attempt_at",
    "is_present",
    "is_served",
    "problem",
)


@dataclass(frozen=True)
class CertificateState:
    """One certificate as it lies on the agent's machine; as CertificateState in the contract, cleaned and capped.

    `last_failure` has cause, sentence, next_step, detail, at, retry_at (both ISO 8601, or None), url, names and
    directory_url.
    """

    name: str
    source: CertificateSource
    names: tuple[str, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    serial: str = ""
    issuer: str = ""
    key_type: str = ""
    sha256: str = ""
    directory_url: str = ""
    chain_path: str = ""
    key_path: str = ""
    is_present: bool = False
    problem: str = ""
    is_served: bool = False
    is_paused: bool = False
    next_action: str = ""
    next_action_at: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    window_url: str = ""
    failures: int = 0
    last_failure: dict[str, Any] | None = None
    last_attempt_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class Snapshot:
    """What decides whether something has happened to a certificate, and whether nginx must be told."""

    is_present: bool
    chain_path: str
    key_path: str
    serial: str
    failed_at: str
    revoked_at: datetime | None

    @classmethod
    def of(cls, certificate: Certificate) -> Snapshot:
        """The certificate as it is now."""
        failure = certificate.last_failure or {}
        return cls(
            bool(certificate.is_present),
            certificate.chain_path or "",
            certificate.key_path or "",
            certificate.serial or "",
            str(failure.get("at") or failure.get("sentence", "")) if certificate.failures else "",
            certificate.revoked_at,
        )

    def has_other_files(self, later: Snapshot) -> bool:
        """Whether a host that uses it has another file now. A new certificate at the same path changes none."""
        if not self.is_present and not later.is_present:
            return False
        before = (self.is_present, self.chain_path, self.key_path)
        return before != (later.is_present, later.chain_path, later.key_path)


def write(certificate: Certificate, state: CertificateState, letsencrypt_dir: str, now: datetime) -> None:
    """Stores a state. What a person decided (names asked for, authority, challenge, key, pause) is left alone."""
    for name in _REPORTED:
        setattr(certificate, name, getattr(state, name))
    certificate.source = state.source
    certificate.reported_names = list(state.names)
    certificate.reported_key_type = state.key_type
    certificate.issued_by_url = state.directory_url
    certificate.reported_at = now
    paths = (state.chain_path, state.key_path)
    if state.is_present and not all(_lies_in(path, letsencrypt_dir) for path in paths):
        certificate.is_present, certificate.is_served, certificate.problem = False, False, _MISPLACED


def write_gone(certificate: Certificate, now: datetime) -> None:
    """The agent does not have it any more; what was known of it stays readable."""
    certificate.is_present = certificate.is_served = False
    certificate.next_action, certificate.next_action_at = "", None
    certificate.reported_at = now


def _lies_in(path: str, folder: str) -> bool:
    if not _PATH.match(path) or ".." in path or not folder.startswith("/"):
        return False
    return PurePosixPath(folder) in PurePosixPath(path).parents
