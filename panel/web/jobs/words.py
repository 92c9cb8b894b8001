"""How jobs are called: kinds, states, stages.
May import: panel.models, panel.services.jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Challenge, Command, CommandKind, CommandState
from panel.services.jobs import JobResult

KINDS = {
    CommandKind.APPLY_CONFIG: lazy_gettext("Apply configuration"),
    CommandKind.TEST_CONFIG: lazy_gettext("Test configuration"),
    CommandKind.RELOAD: lazy_gettext("Reload nginx"),
    CommandKind.CHECK_NGINX: lazy_gettext("Check nginx"),
    CommandKind.ISSUE_CERTIFICATE: lazy_gettext("Request certificate"),
    CommandKind.RENEW_CERTIFICATE: lazy_gettext("Renew certificate"),
    CommandKind.REVOKE_CERTIFICATE: lazy_gettext("Revoke certificate"),
    CommandKind.INSTALL_CERTIFICATE: lazy_gettext("Install certificate"),
    CommandKind.DELETE_CERTIFICATE: lazy_gettext("Delete certificate"),
    CommandKind.CONFIGURE_CERTIFICATE: lazy_gettext("Change renewal"),
    CommandKind.TAKE_OVER_CERTIFICATE: lazy_gettext("Take over certificate"),
    CommandKind.CHECK_NAMES: lazy_gettext("Check names"),
    CommandKind.CHECK_DNS_CREDENTIAL: lazy_gettext("Test DNS credential"),
    CommandKind.LIST_NETWORKS: lazy_gettext("List networks"),
    CommandKind.LIST_CONTAINERS: lazy_gettext("List containers"),
    CommandKind.CONTAINER_NETWORKS: lazy_gettext("Look at a container's networks"),
    CommandKind.ATTACH_NETWORK: lazy_gettext("Attach nginx"),
    CommandKind.DETACH_NETWORK: lazy_gettext("Detach nginx"),
    CommandKind.CHECK_UPSTREAM: lazy_gettext("Check upstream"),
    CommandKind.CHECK_ADDRESSES: lazy_gettext("Look names up"),
}

RESULTS = {
    JobResult.OPEN: lazy_gettext("Running"),
    JobResult.SUCCEEDED: lazy_gettext("Succeeded"),
    JobResult.FAILED: lazy_gettext("Failed"),
    JobResult.CANCELLED: lazy_gettext("Cancelled"),
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
    "fetch": lazy_gettext("Fetch files"),
    "test": lazy_gettext("Test with nginx"),
    "switch": lazy_gettext("Switch to the new files"),
    "reload": lazy_gettext("Reload nginx"),
    "prove": lazy_gettext("Prove that it is live"),
    "rollback": lazy_gettext("Put the old files back"),
    "check": lazy_gettext("Check nginx"),
    "list": lazy_gettext("Ask Docker"),
    "attach": lazy_gettext("Join nginx to the network"),
    "detach": lazy_gettext("Take nginx out of the network"),
    "reach": lazy_gettext("Look at the upstream"),
    "look": lazy_gettext("Ask name servers"),
}
CERTIFICATE_STAGE_LABELS = {
    "check": lazy_gettext("Check first"),
    "order": lazy_gettext("Order created"),
    "challenge": lazy_gettext("Challenge in place"),
    "validation": lazy_gettext("Validation"),
    "issued": lazy_gettext("Issued"),
    "installed": lazy_gettext("Installed"),
    "reload": lazy_gettext("nginx reloaded"),
    "served": lazy_gettext("Served over HTTPS"),
    "rollback": lazy_gettext("Old certificate put back"),
    "revoke": lazy_gettext("Revoked by the authority"),
    "delete": lazy_gettext("Files taken away"),
    "configure": lazy_gettext("Agent knows the new settings"),
    "take_over": lazy_gettext("Renewal taken over"),
    "credential": lazy_gettext("Record written, read and removed"),
}

# What a running stage waits for, and how long is normal.
STAGE_HINTS = {
    "fetch": lazy_gettext("The agent asks for the files it lacks. Usually under a second."),
    "test": lazy_gettext("nginx reads the new files without using them. Usually under 2 seconds."),
    "switch": lazy_gettext("The new files take the place of the old ones."),
    "reload": lazy_gettext("nginx starts new workers. No request is dropped."),
    "prove": lazy_gettext("Fresh connections are made until only the new revision answers. Usually under 2 seconds."),
    "rollback": lazy_gettext("The files that worked before come back, and that is proved too."),
    "check": lazy_gettext("The agent looks at its nginx."),
    "list": lazy_gettext("The agent asks the Docker Engine. Usually under a second."),
    "attach": lazy_gettext("Docker does it while nginx runs. Usually under a second."),
    "detach": lazy_gettext("Docker does it while nginx runs. Usually under a second."),
    "reach": lazy_gettext("The agent looks from nginx's own networks. Usually under 3 seconds."),
    "look": lazy_gettext("The agent asks name servers where the names lead to. Usually under 3 seconds."),
}
CERTIFICATE_STAGE_HINTS = {
    "check": lazy_gettext(
        "Names, addresses, the challenge path, CAA records, limits and the clock. Usually under 3 seconds."
    ),
    "order": lazy_gettext("The authority is told the names. Usually under 2 seconds."),
    "challenge": lazy_gettext(
        "nginx answers for the authority, whatever the host does otherwise. Usually under a second."
    ),
    "validation": lazy_gettext("The authority looks at the challenge from several places. Usually 2 to 10 seconds."),
    "issued": lazy_gettext("The authority signs the certificate. Usually under 5 seconds."),
    "installed": lazy_gettext("The files are verified, then they take the place of the old ones at once."),
    "reload": lazy_gettext("nginx gets the hosts that use it. Usually under 5 seconds."),
    "served": lazy_gettext("A TLS handshake with nginx looks for the new serial. Usually under a second."),
    "rollback": lazy_gettext("The version before comes back, and that is proved too."),
    "revoke": lazy_gettext("The authority is told. Usually under 2 seconds."),
    "credential": lazy_gettext("The agent writes a record of its own into the zone, looks for it and removes it."),
}
DNS_CHALLENGE_HINT = lazy_gettext(
    "All name servers of the zone must show the record before the authority is asked "
    "to look. Usually under 2 minutes; some providers need 10."
)

_STATES = {
    CommandState.QUEUED: ("off", lazy_gettext("Queued")),
    CommandState.SENT: ("run", lazy_gettext("Sent")),
    CommandState.RUNNING: ("run", lazy_gettext("Running")),
    CommandState.SUCCEEDED: ("ok", lazy_gettext("Succeeded")),
    CommandState.FAILED: ("bad", lazy_gettext("Failed")),
    CommandState.EXPIRED: ("bad", lazy_gettext("Expired")),
    CommandState.CANCELLED: ("off", lazy_gettext("Cancelled")),
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
        return "warn", _("Outcome unknown")
    if command.has_succeeded and CommandKind(command.kind) in ANSWERS:
        return ANSWERS[CommandKind(command.kind)](command.result)
    if command.result.get("needs_confirmation") and not command.is_open and not command.has_succeeded:
        return "warn", _("Needs your yes")
    return _STATES[CommandState(command.state)]


def _check_answer(result: Mapping[str, Any]) -> tuple[str, str]:
    """A check that was carried out says what it found, and not that it was carried out."""
    levels = {str(finding.get("level", "")).lower() for finding in result.get("findings", [])}
    if "error" in levels:
        return "bad", _("Something must be mended")
    return ("warn", _("With doubts")) if "warning" in levels else ("ok", _("Nothing stands in the way"))


def _credential_answer(result: Mapping[str, Any]) -> tuple[str, str]:
    return ("ok", _("It works")) if result.get("ok") else ("bad", _("It does not work"))


ANSWERS = {
    CommandKind.CHECK_NAMES: _check_answer,
    CommandKind.CHECK_DNS_CREDENTIAL: _credential_answer,
}


def kind_of(command: Command) -> str:
    """The job's kind in words."""
    return _("Try on staging") if is_dry_run(command) else KINDS[CommandKind(command.kind)]


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
