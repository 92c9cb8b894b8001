"""How jobs are called: kinds, states, stages.
May import: panel.models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panel.models import Challenge, Command, CommandKind, CommandState
from panel.services.jobs import JobResult

KINDS = {
    CommandKind.APPLY_CONFIG: "Apply configuration",
    CommandKind.TEST_CONFIG: "Test configuration",
    CommandKind.RELOAD: "Reload nginx",
    CommandKind.CHECK_NGINX: "Check nginx",
    CommandKind.ISSUE_CERTIFICATE: "Request certificate",
    CommandKind.RENEW_CERTIFICATE: "Renew certificate",
    CommandKind.REVOKE_CERTIFICATE: "Revoke certificate",
    CommandKind.INSTALL_CERTIFICATE: "Install certificate",
    CommandKind.DELETE_CERTIFICATE: "Delete certificate",
    CommandKind.CONFIGURE_CERTIFICATE: "Change renewal",
    CommandKind.TAKE_OVER_CERTIFICATE: "Take over certificate",
    CommandKind.CHECK_NAMES: "Check names",
    CommandKind.CHECK_DNS_CREDENTIAL: "Test DNS credential",
    CommandKind.LIST_NETWORKS: "List networks",
    CommandKind.LIST_CONTAINERS: "List containers",
    CommandKind.CONTAINER_NETWORKS: "Look at a container's networks",
    CommandKind.ATTACH_NETWORK: "Attach nginx",
    CommandKind.DETACH_NETWORK: "Detach nginx",
    CommandKind.CHECK_UPSTREAM: "Check upstream",
    CommandKind.CHECK_ADDRESSES: "Look names up",
}

RESULTS = {
    JobResult.OPEN: "Running",
    JobResult.SUCCEEDED: "Succeeded",
    JobResult.FAILED: "Failed",
    JobResult.CANCELLED: "Cancelled",
}

_ORDER = ("order", "challenge", "validation", "issued", "installed", "reload", "served")
STAGES = {
    CommandKind.APPLY_CONFIG: ("fetch", "test", "switch", "reload", "prove"),
    CommandKind.TEST_CONFIG: ("fetch", "test"),
    CommandKind.RELOAD: ("reload", "prove"),
    CommandKind.CHECK_NGINX: ("check",),
    CommandKind.ISSUE_CERTIFICATE: ("check", *_ORDER),
    CommandKind.RENEW_CERTIFICATE: _ORDER,
    CommandKind.REVOKE_CERTIFICATE: ("revoke",),
    CommandKind.INSTALL_CERTIFICATE: ("installed", "reload", "served"),
    CommandKind.DELETE_CERTIFICATE: ("delete",),
    CommandKind.CONFIGURE_CERTIFICATE: ("configure",),
    CommandKind.TAKE_OVER_CERTIFICATE: ("take_over",),
    CommandKind.CHECK_NAMES: ("check",),
    CommandKind.CHECK_DNS_CREDENTIAL: ("credential",),
    CommandKind.LIST_NETWORKS: ("list",),
    CommandKind.LIST_CONTAINERS: ("list",),
    CommandKind.CONTAINER_NETWORKS: ("list",),
    CommandKind.ATTACH_NETWORK: ("attach",),
    CommandKind.DETACH_NETWORK: ("detach",),
    CommandKind.CHECK_UPSTREAM: ("reach",),
    CommandKind.CHECK_ADDRESSES: ("look",),
}
DRY_RUN_STAGES = ("check", "order", "challenge", "validation", "issued")

STAGE_LABELS = {
    "fetch": "Fetch files",
    "test": "Test with nginx",
    "switch": "Switch to the new files",
    "reload": "Reload nginx",
    "prove": "Prove that it is live",
    "rollback": "Put the old files back",
    "check": "Check nginx",
    "list": "Ask Docker",
    "attach": "Join nginx to the network",
    "detach": "Take nginx out of the network",
    "reach": "Look at the upstream",
    "look": "Ask name servers",
}
CERTIFICATE_STAGE_LABELS = {
    "check": "Check first",
    "order": "Order created",
    "challenge": "Challenge in place",
    "validation": "Validation",
    "issued": "Issued",
    "installed": "Installed",
    "reload": "nginx reloaded",
    "served": "Served over HTTPS",
    "rollback": "Old certificate put back",
    "revoke": "Revoked by the authority",
    "delete": "Files taken away",
    "configure": "Agent knows the new settings",
    "take_over": "Renewal taken over",
    "credential": "Record written, read and removed",
}

# What a running stage waits for, and how long is normal.
STAGE_HINTS = {
    "fetch": "The agent asks for the files it lacks. Usually under a second.",
    "test": "nginx reads the new files without using them. Usually under 2 seconds.",
    "switch": "The new files take the place of the old ones.",
    "reload": "nginx starts new workers. No request is dropped.",
    "prove": "Fresh connections are made until only the new revision answers. Usually under 2 seconds.",
    "rollback": "The files that worked before come back, and that is proved too.",
    "check": "The agent looks at its nginx.",
    "list": "The agent asks the Docker Engine. Usually under a second.",
    "attach": "Docker does it while nginx runs. Usually under a second.",
    "detach": "Docker does it while nginx runs. Usually under a second.",
    "reach": "The agent looks from nginx's own networks. Usually under 3 seconds.",
    "look": "The agent asks name servers where the names lead to. Usually under 3 seconds.",
}
CERTIFICATE_STAGE_HINTS = {
    "check": "Names, addresses, the challenge path, CAA records, limits and the clock. Usually under 3 seconds.",
    "order": "The authority is told the names. Usually under 2 seconds.",
    "challenge": "nginx answers for the authority, whatever the host does otherwise. Usually under a second.",
    "validation": "The authority looks at the challenge from several places. Usually 2 to 10 seconds.",
    "issued": "The authority signs the certificate. Usually under 5 seconds.",
    "installed": "The files are verified, then they take the place of the old ones at once.",
    "reload": "nginx gets the hosts that use it. Usually under 5 seconds.",
    "served": "A TLS handshake with nginx looks for the new serial. Usually under a second.",
    "rollback": "The version before comes back, and that is proved too.",
    "revoke": "The authority is told. Usually under 2 seconds.",
    "credential": "The agent writes a record of its own into the zone, looks for it and removes it.",
}
DNS_CHALLENGE_HINT = (
    "All name servers of the zone must show the record before the authority is asked to look. "
    "Usually under 2 minutes; some providers need 10."
)

_STATES = {
    CommandState.QUEUED: ("off", "Queued"),
    CommandState.SENT: ("run", "Sent"),
    CommandState.RUNNING: ("run", "Running"),
    CommandState.SUCCEEDED: ("ok", "Succeeded"),
    CommandState.FAILED: ("bad", "Failed"),
    CommandState.EXPIRED: ("bad", "Expired"),
    CommandState.CANCELLED: ("off", "Cancelled"),
}


_ABOUT = {  # keys of their payloads
    CommandKind.CHECK_NAMES: "name",
    CommandKind.CHECK_DNS_CREDENTIAL: "zone",
    CommandKind.ATTACH_NETWORK: "network",
    CommandKind.DETACH_NETWORK: "network",
}


def state_of(command: Command) -> tuple[str, str]:
    """The status pill: its kind and its word."""
    if not command.is_open and not command.outcome_known:
        return "warn", "Outcome unknown"
    if command.has_succeeded and CommandKind(command.kind) in ANSWERS:
        return ANSWERS[CommandKind(command.kind)](command.result)
    if command.result.get("needs_confirmation") and not command.is_open and not command.has_succeeded:
        return "warn", "Needs your yes"
    return _STATES[CommandState(command.state)]


def _check_answer(result: Mapping[str, Any]) -> tuple[str, str]:
    """A check that was carried out says what it found, and not that it was carried out."""
    levels = {str(finding.get("level", "")).lower() for finding in result.get("findings", [])}
    if "error" in levels:
        return "bad", "Something must be mended"
    return ("warn", "With doubts") if "warning" in levels else ("ok", "Nothing stands in the way")


def _credential_answer(result: Mapping[str, Any]) -> tuple[str, str]:
    return ("ok", "It works") if result.get("ok") else ("bad", "It does not work")


ANSWERS = {
    CommandKind.CHECK_NAMES: _check_answer,
    CommandKind.CHECK_DNS_CREDENTIAL: _credential_answer,
}


def kind_of(command: Command) -> str:
    """The job's kind in words."""
    return "Try on staging" if is_dry_run(command) else KINDS[CommandKind(command.kind)]


def subject_of(command: Command) -> str:
    """The certificate, zone or network that a job is about, by its name; "" for jobs about nginx."""
    if command.kind in _ABOUT:
        return str(command.payload.get(_ABOUT[CommandKind(command.kind)], ""))
    resource = command.resource
    return resource.removeprefix("acme:") if resource.startswith("acme:") else ""


def is_dry_run(command: Command) -> bool:
    """Whether it orders from the staging authority and installs nothing."""
    # Lists leave payloads unread, because those of applies are large: only an order's is asked for.
    return command.kind == CommandKind.ISSUE_CERTIFICATE and bool(command.payload.get("dry_run"))


def stages_of(command: Command) -> tuple[str, ...]:
    """The stages that the job passes, in their order."""
    return DRY_RUN_STAGES if is_dry_run(command) else STAGES[CommandKind(command.kind)]


def stage_label(command: Command, stage: str) -> str:
    """The stage in words; "" for one that pages do not show."""
    return _words(command, STAGE_LABELS, CERTIFICATE_STAGE_LABELS).get(stage, "")


def stage_hint(command: Command, stage: str, challenge: str = "") -> str:
    """What the stage waits for and how long is normal; a DNS challenge takes longer than one over HTTP."""
    if stage == "challenge" and challenge == Challenge.DNS_01:
        return DNS_CHALLENGE_HINT
    return _words(command, STAGE_HINTS, CERTIFICATE_STAGE_HINTS).get(stage, "")


def _words(command: Command, nginx: dict[str, str], certificates: dict[str, str]) -> dict[str, str]:
    kind = CommandKind(command.kind)
    is_other = kind in {CommandKind.CHECK_NAMES, CommandKind.CHECK_DNS_CREDENTIAL}
    return certificates if kind.is_about_certificate or is_other else nginx
