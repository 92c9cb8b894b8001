"""How a command ended, from the wire: cleaned, capped, and believed only with its proof.
May import: protos, panel.rpc.{certificate_states,docker_states,text}, panel.services, panel.models and below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from panel.models import Command, CommandKind, CommandState
from panel.rpc import certificate_states, docker_states
from panel.rpc.text import clean, clean_value
from panel.services.transitions import CommandOutcome
from protos import command_stream_pb2 as pb

# Outcome to state, reason, and the sentence for an agent that gave none.
_OUTCOMES: Mapping[int, tuple[CommandState, str, str]] = {
    pb.CommandResult.SUCCEEDED: (CommandState.SUCCEEDED, "", ""),
    pb.CommandResult.FAILED: (CommandState.FAILED, "FAILED", "The agent reported a failure without a reason."),
    pb.CommandResult.EXPIRED: (CommandState.EXPIRED, "EXPIRED", "Its time was over before the agent could start it."),
    pb.CommandResult.CANCELLED: (CommandState.CANCELLED, "CANCELLED", "Cancelled."),
    pb.CommandResult.UNSUPPORTED: (
        CommandState.FAILED,
        "UNSUPPORTED",
        "The agent is too old to know this command. Update it and try again.",
    ),
    pb.CommandResult.INTERRUPTED: (
        CommandState.FAILED,
        "INTERRUPTED",
        "The agent stopped in the middle of this. What it did is not known.",
    ),
}
# What brings files must say that they are there.
_BRING_FILES = (CommandKind.ISSUE_CERTIFICATE, CommandKind.RENEW_CERTIFICATE, CommandKind.INSTALL_CERTIFICATE)


def outcome(command: Command, message: pb.CommandResult) -> CommandOutcome:
    """How a command ended. A success whose proof is missing or for another revision is a failure."""
    state, reason, sentence = _OUTCOMES.get(message.outcome, _OUTCOMES[pb.CommandResult.FAILED])
    detail = message.WhichOneof("detail")
    result = _read(message, command.kind) if detail == command.kind else {}
    if state is CommandState.SUCCEEDED and not _is_proved(command, detail, result):
        sentence = "The agent reported success without the proof that belongs to it. What it did is not known."
        return CommandOutcome(CommandState.FAILED, "INTERNAL", sentence, outcome_known=False, result=result)
    if detail == "apply_config" and state is CommandState.FAILED:
        reason = _apply_reason(message.apply_config, reason)
    error = "" if state is CommandState.SUCCEEDED else clean(message.error) or sentence
    return CommandOutcome(state, reason, error, outcome_known=reason != "INTERRUPTED", result=result)


def _is_proved(row: Command, detail: str | None, result: Mapping[str, Any]) -> bool:
    if detail != row.kind:
        return False
    if row.kind in _BRING_FILES and not result["dry_run"]:
        return bool(result["certificate"] and result["certificate"]["is_present"])
    return row.kind != CommandKind.APPLY_CONFIG or result["revision"] == row.payload.get("revision")


def _apply_reason(message: pb.ApplyConfigResult, reason: str) -> str:
    if message.degraded:
        return "ROLLBACK_FAILED"
    return "ROLLED_BACK" if message.rolled_back and reason == "FAILED" else reason


def _read(message: pb.CommandResult, kind: str) -> dict[str, Any]:
    """The detail of a result as plain JSON values under the contract's own names, every text cleaned."""
    if CommandKind(kind).is_about_certificate:
        return certificate_states.result(getattr(message, kind))
    if CommandKind(kind).is_about_docker:
        return docker_states.result(CommandKind(kind), message)
    if kind == CommandKind.CHECK_NAMES:
        return {"findings": certificate_states.findings(message.check_names.findings)}
    if kind == CommandKind.CHECK_ADDRESSES:
        return {"findings": certificate_states.findings(message.check_addresses.findings)}
    values = MessageToDict(
        getattr(message, kind), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {name: clean_value(value) for name, value in values.items()}
