"""How jobs are called: kinds, states, stages.
May import: panel.models."""

from __future__ import annotations

from panel.models import Command, CommandKind, CommandState
from panel.services.jobs import JobResult

KINDS = {
    CommandKind.APPLY_CONFIG: "Apply configuration",
    CommandKind.TEST_CONFIG: "Test configuration",
    CommandKind.RELOAD: "Reload nginx",
    CommandKind.CHECK_NGINX: "Check nginx",
}

RESULTS = {
    JobResult.OPEN: "Running",
    JobResult.SUCCEEDED: "Succeeded",
    JobResult.FAILED: "Failed",
    JobResult.CANCELLED: "Cancelled",
}

STAGES = {
    CommandKind.APPLY_CONFIG: ("fetch", "test", "switch", "reload", "prove"),
    CommandKind.TEST_CONFIG: ("fetch", "test"),
    CommandKind.RELOAD: ("reload", "prove"),
    CommandKind.CHECK_NGINX: ("check",),
}

STAGE_LABELS = {
    "fetch": "Fetch files",
    "test": "Test with nginx",
    "switch": "Switch to the new files",
    "reload": "Reload nginx",
    "prove": "Prove that it is live",
    "rollback": "Put the old files back",
    "check": "Check nginx",
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
}

_STATES = {
    CommandState.QUEUED: ("off", "Queued"),
    CommandState.SENT: ("run", "Sent"),
    CommandState.RUNNING: ("run", "Running"),
    CommandState.SUCCEEDED: ("ok", "Succeeded"),
    CommandState.FAILED: ("bad", "Failed"),
    CommandState.EXPIRED: ("bad", "Expired"),
    CommandState.CANCELLED: ("off", "Cancelled"),
}


def state_of(command: Command) -> tuple[str, str]:
    """The status pill: its kind and its word."""
    if not command.is_open and not command.outcome_known:
        return "warn", "Outcome unknown"
    return _STATES[CommandState(command.state)]


def kind_of(command: Command) -> str:
    """The job's kind in words."""
    return KINDS[CommandKind(command.kind)]
