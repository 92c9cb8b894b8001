"""Jobs that have ended: what agents print on the way, and the results that they report.
May import: panel.services, panel.models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from panel.models import Certificate, Command, CommandState
from panel.services import bundles, deployments, outcomes, transitions
from panel.services.transitions import CommandOutcome, OutputLine


@dataclass(frozen=True)
class Said:
    """One line, so many milliseconds after the one before."""

    stage: str
    level: str
    text: str
    after: int = 20


def apply(command: Command, moment: datetime) -> datetime:
    """The agent applied it and proved it. Returns when that was."""
    deployments.freeze(command)
    files, revision = len(bundles.manifest_for(command)), str(command.payload["revision"])
    lines = (
        *_tested(files),
        Said("switch", "stage", "Putting the new files in place"),
        Said("switch", "ok", "The new files are in place", 3),
        Said("reload", "stage", "Telling nginx to load them"),
        Said("reload", "ok", "nginx was told", 14),
        Said("prove", "stage", "Waiting until nginx serves the new revision on every new connection"),
        Said("prove", "ok", f"nginx serves revision {revision[:12]}", 168),
    )
    return _end(command, moment, lines, CommandOutcome(CommandState.SUCCEEDED, result=_applied(revision)))


def refuse(command: Command, moment: datetime, host_id: int, text: str, line: int) -> datetime:
    """Nginx refused the file of one host: it is set aside, and the next job goes on without it."""
    deployments.freeze(command)
    manifest = bundles.manifest_for(command)
    path = next(path for path in manifest if path.startswith(f"hosts/{host_id}-"))
    lines = (*_tested(len(manifest))[:-1], Said("test", "error", f"nginx: [emerg] {text} in {path}:{line}", 45))
    result = {
        **_applied(command.agent.applied_revision),
        "failed_stage": "test",
        "file_errors": [{"path": path, "line": line, "text": text}],
    }
    error = "nginx refused 1 of the changed files. Nothing was changed."
    return _end(command, moment, lines, CommandOutcome(CommandState.FAILED, "FAILED", error, result=result))


def port_in_use(command: Command, moment: datetime) -> datetime:
    """Nginx could not listen: the files that worked before came back."""
    deployments.freeze(command)
    words = "nginx: [emerg] bind() to 0.0.0.0:443 failed (98: Address already in use)"
    lines = (
        *_tested(len(bundles.manifest_for(command))),
        Said("switch", "stage", "Putting the new files in place"),
        Said("switch", "ok", "The new files are in place", 3),
        Said("reload", "stage", "Telling nginx to load them"),
        Said("reload", "error", words, 30),
        Said("rollback", "stage", "Putting the previous files back"),
        Said("rollback", "ok", "The previous files are back, and nginx serves them", 210),
    )
    result = {**_applied(command.agent.applied_revision), "failed_stage": "reload", "rolled_back": True}
    error = "nginx could not listen on port 443: another program holds it."
    return _end(command, moment, lines, CommandOutcome(CommandState.FAILED, "ROLLED_BACK", error, result=result))


def issue(command: Command, moment: datetime, certificate: Certificate, issuer: str) -> datetime:
    """The authority issued it, and nginx serves it."""
    name, others = certificate.domain_names[0], len(certificate.domain_names) - 1
    more = f" and {others} more" if others else ""
    authority = certificate.authority.name if certificate.authority else issuer
    lines = (
        *_checked(certificate, authority),
        Said("order", "stage", f"Ordering a certificate for {name}{more} from {authority}.", 60),
        Said("order", "ok", "The order is made.", 640),
        *_shown(certificate),
        Said("validation", "stage", f"{authority} checks the names. This usually takes 5 to 30 seconds."),
        Said("validation", "ok", f"{authority} saw that {name}{more} is ours.", 4380),
        Said("issued", "stage", f"{authority} makes the certificate. This usually takes a few seconds."),
        Said("issued", "ok", f"Issued by {issuer}, valid for 90 days.", 1730),
        Said("cleanup", "stage", "Removing what was shown to the authority."),
        Said("installed", "stage", f"Putting version 1 of {certificate.name} into use"),
        Said("installed", "ok", "The files are in place", 28),
        Said("reload", "stage", "Waiting until the host's configuration uses the certificate"),
        Said("reload", "ok", "nginx has loaded a configuration that uses the certificate", 910),
        Said("served", "stage", "Asking nginx for the certificate by a TLS handshake on port 443"),
        Said("served", "ok", f"nginx serves the new certificate for {name}", 6),
    )
    result = {**_about(certificate), "served": True, "findings": _findings(certificate, authority)}
    return _end(command, moment, lines, CommandOutcome(CommandState.SUCCEEDED, result=result))


def fail_issue(command: Command, moment: datetime, certificate: Certificate, failure: dict[str, Any]) -> datetime:
    """The authority looked elsewhere."""
    name = certificate.domain_names[0]
    authority = certificate.authority.name if certificate.authority else "the authority"
    lines = (
        *_checked(certificate, authority),
        Said("order", "stage", f"Ordering a certificate for {name} from {authority}.", 60),
        Said("order", "ok", "The order is made.", 580),
        *_shown(certificate),
        Said("validation", "stage", f"{authority} checks the names. This usually takes 5 to 30 seconds."),
        Said("validation", "error", str(failure["sentence"]), 6120),
        Said("validation", "error", str(failure["detail"])),
        Said("cleanup", "stage", "Removing what was shown to the authority."),
    )
    result = {**_about(certificate), "failure": failure, "failed_stage": "validation"}
    outcome = CommandOutcome(CommandState.FAILED, "FAILED", str(failure["sentence"]), result=result)
    return _end(command, moment, lines, outcome)


def install(command: Command, moment: datetime, name: str) -> datetime:
    """An upload is in use."""
    lines = (
        Said("installed", "stage", f"Putting version 1 of {name} into use"),
        Said("installed", "ok", "The files are in place", 31),
        Said("reload", "stage", "Waiting until the host's configuration uses the certificate"),
        Said("reload", "ok", "nginx has loaded a configuration that uses the certificate", 640),
        Said("served", "stage", "Asking nginx for the certificate by a TLS handshake on port 443"),
        Said("served", "ok", f"nginx serves the new certificate for {name}", 5),
    )
    result = {**_RESULT, "served": True}
    return _end(command, moment, lines, CommandOutcome(CommandState.SUCCEEDED, result=result))


def configure(command: Command, moment: datetime) -> datetime:
    """The agent knows the new settings of a certificate."""
    lines = (Said("configure", "stage", "Writing down how it is renewed", 0), Said("configure", "ok", "Done", 12))
    return _end(command, moment, lines, CommandOutcome(CommandState.SUCCEEDED, result=dict(_RESULT)))


def cancel(command: Command, moment: datetime) -> None:
    """Taken back before the agent came to it."""
    outcome = CommandOutcome(CommandState.CANCELLED, "CANCELLED", "Cancelled before it was sent.")
    command.created_at = moment
    transitions.finish(command, outcome, moment + timedelta(seconds=41))


def begin_renewal(command: Command, moment: datetime, certificate: Certificate) -> None:
    """A renewal that waits for name servers now."""
    authority = certificate.authority.name if certificate.authority else "the authority"
    name = certificate.domain_names[0]
    lines = (
        Said("order", "stage", f"Ordering a certificate for {name} from {authority}.", 60),
        Said("order", "ok", "The order is made.", 720),
        Said("challenge", "stage", "Writing 2 TXT records with Cloudflare.", 40),
        Said("challenge", "ok", f"_acme-challenge.{name.removeprefix('*.')} is written.", 860),
        Said("challenge", "info", "3 of 4 name servers show the records after 30 seconds.", 30_000),
    )
    transitions.append_output(command, _numbered(lines, moment)[0], moment)


def _tested(files: int) -> tuple[Said, ...]:
    return (
        Said("fetch", "stage", f"Fetching and checking {files} files", 0),
        Said("fetch", "ok", f"1 of {files} files are new", 46),
        Said("test", "stage", "Testing 1 changed files with nginx -t"),
        Said("test", "ok", "nginx takes the changed files", 52),
    )


def _checked(certificate: Certificate, authority: str) -> tuple[Said, ...]:
    return (
        Said("check", "stage", "Looking whether the order can succeed before anybody is asked", 0),
        *(Said("check", "ok", finding["sentence"], 35) for finding in _findings(certificate, authority)),
    )


def _findings(certificate: Certificate, authority: str) -> list[dict[str, str]]:
    name = certificate.domain_names[0]
    sentences = (
        (name, "The name is fine." if len(certificate.domain_names) == 1 else "All names are fine."),
        (name, f"No CAA record stands in the way of {name}."),
        ("", f"{authority} can be reached."),
        ("", f"This machine's clock agrees with that of {authority}."),
        ("", f"The limits of {authority} leave room."),
    )
    return [{"level": "ok", "subject": subject, "sentence": sentence} for subject, sentence in sentences]


def _shown(certificate: Certificate) -> tuple[Said, ...]:
    if certificate.dns_credential is not None:
        return (
            Said("challenge", "stage", f"Writing TXT records with {certificate.dns_credential.name}."),
            Said("challenge", "ok", "All 4 name servers of the zone show the records.", 21_400),
        )
    return (
        Said("challenge", "stage", "Putting 1 token file in place."),
        Said("challenge", "ok", "Written where nginx looks for /.well-known/acme-challenge/.", 3),
    )


_RESULT: dict[str, Any] = {
    "certificate": None,
    "failure": None,
    "failed_stage": "",
    "findings": [],
    "dry_run": False,
    "served": False,
    "rolled_back": False,
    "needs_confirmation": False,
}


def _about(certificate: Certificate) -> dict[str, Any]:
    return {**_RESULT, "certificate": {"name": certificate.name, "names": list(certificate.domain_names)}}


def _applied(revision: str) -> dict[str, Any]:
    return {
        "revision": revision,
        "failed_stage": "",
        "rolled_back": False,
        "degraded": False,
        "file_errors": [],
        "warnings": [],
    }


def _end(command: Command, moment: datetime, said: Sequence[Said], outcome: CommandOutcome) -> datetime:
    """Runs the command from queued to its end, as if it had been asked for at `moment`."""
    began = moment + timedelta(milliseconds=140 + command.seq * 17 % 90)
    command.created_at, command.not_before = moment, None
    command.expires_at = moment + transitions.REDELIVERY_WINDOW
    transitions.change(
        command.id,
        (CommandState.QUEUED,),
        state=CommandState.RUNNING,
        sent_at=moment,
        acked_at=began,
        started_at=began,
        delivery_count=1,
    )
    lines, ended = _numbered(said, began, 0.7 + command.seq * 37 % 83 / 100)
    transitions.append_output(command, lines, ended)
    outcomes.record(command, outcome, ended)
    return ended


def _numbered(said: Sequence[Said], began: datetime, pace: float = 1.0) -> tuple[list[OutputLine], datetime]:
    """The lines with numbers and times, and when the last one came. No two jobs have the same `pace`."""
    lines, at = [], began
    for number, one in enumerate(said, start=1):
        at += timedelta(milliseconds=one.after * pace)
        lines.append(OutputLine(number, at, one.stage, one.level, one.text))
    return lines, at
