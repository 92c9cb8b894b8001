"""Certificates as an agent describes them, from the wire: cleaned and capped, because agents may be hostile.
May import: protos, panel.rpc.text, panel.services, panel.models and below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from panel.models import CertificateSource
from panel.rpc.text import clean, clean_list, moment_in
from panel.services.certificate_states import CertificateState
from protos import command_stream_pb2 as pb

MAX_CERTIFICATES = 1000  # of one report
MAX_NAMES = 200  # of one certificate
MAX_FINDINGS = 500
MAX_FAILURES = 1_000_000

_SOURCES: Mapping[int, CertificateSource] = {
    pb.CertificateState.ACME: CertificateSource.ACME,
    pb.CertificateState.UPLOAD: CertificateSource.UPLOAD,
    pb.CertificateState.CERTBOT: CertificateSource.CERTBOT,
}
_LEVELS: Mapping[int, str] = {
    pb.Finding.OK: "ok",
    pb.Finding.INFO: "info",
    pb.Finding.WARNING: "warning",
    pb.Finding.ERROR: "error",
}


def states(message: pb.CertificateReport) -> list[CertificateState]:
    """The certificates of a report; those of a source that this panel does not know are left out."""
    return [state(one) for one in message.certificates[:MAX_CERTIFICATES] if one.source in _SOURCES]


def state(message: pb.CertificateState) -> CertificateState:
    """One certificate as it lies on the agent's machine."""
    return CertificateState(
        name=clean(message.name, 200),
        source=_SOURCES.get(message.source, CertificateSource.CERTBOT),
        names=tuple(clean_list(message.names, MAX_NAMES, 253)),
        not_before=moment_in(message, "not_before"),
        not_after=moment_in(message, "not_after"),
        serial=clean(message.serial, 64),
        issuer=clean(message.issuer, 255),
        key_type=clean(message.key_type, 16),
        sha256=clean(message.sha256, 64),
        directory_url=clean(message.directory_url, 255),
        chain_path=clean(message.chain_path, 512),
        key_path=clean(message.key_path, 512),
        is_present=message.present,
        problem=clean(message.problem),
        is_served=message.served,
        is_paused=message.paused,
        next_action=clean(message.next_action, 16),
        next_action_at=moment_in(message, "next_action_at"),
        window_start=moment_in(message, "window_start"),
        window_end=moment_in(message, "window_end"),
        window_url=_web_address(message.window_url),
        failures=min(message.failures, MAX_FAILURES),
        last_failure=failure(message.last_failure) if message.HasField("last_failure") else None,
        last_attempt_at=moment_in(message, "last_attempt_at"),
        revoked_at=moment_in(message, "revoked_at"),
    )


def failure(message: pb.CertificateFailure) -> dict[str, Any]:
    """Why an attempt failed, as plain JSON values; times in ISO 8601, or None."""
    return {
        "cause": clean(message.cause, 64),
        "sentence": clean(message.sentence),
        "next_step": clean(message.next_step),
        "detail": clean(message.detail),
        "at": _written(moment_in(message, "at")),
        "retry_at": _written(moment_in(message, "retry_at")),
        "url": _web_address(message.url),
        "names": clean_list(message.names, MAX_NAMES, 253),
        "directory_url": clean(message.directory_url, 255),
    }


def findings(messages: Iterable[pb.Finding]) -> list[dict[str, str]]:
    """The answers of a check, as plain JSON values; `level` is ok, info, warning or error."""
    return [
        {
            "level": _LEVELS.get(one.level, "info"),
            "check": clean(one.check, 32),
            "subject": clean(one.subject, 253),
            "sentence": clean(one.sentence),
            "next_step": clean(one.next_step),
            "record": clean(one.record),
            "cause": clean(one.cause, 64),
        }
        for one in list(messages)[:MAX_FINDINGS]
    ]


def result(message: pb.CertificateResult) -> dict[str, Any]:
    """The end of a command about a certificate, as plain JSON values; `certificate` and `failure` may be None."""
    return {
        "certificate": _plain(state(message.certificate)) if message.HasField("certificate") else None,
        "failure": failure(message.failure) if message.HasField("failure") else None,
        "failed_stage": clean(message.failed_stage, 16),
        "findings": findings(message.findings),
        "dry_run": message.dry_run,
        "served": message.served,
        "rolled_back": message.rolled_back,
        "needs_confirmation": message.needs_confirmation,
    }


def _plain(found: CertificateState) -> dict[str, Any]:
    values = {name: _written(value) if isinstance(value, datetime) else value for name, value in asdict(found).items()}
    return {**values, "names": list(found.names), "source": found.source.value}


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _web_address(text: str) -> str:
    """An address that people may open: it comes from an authority, by way of an agent."""
    cleaned = clean(text, 255)
    return cleaned if cleaned.startswith(("https://", "http://")) and " " not in cleaned else ""
