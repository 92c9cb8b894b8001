"""Between protobuf and the panel's own values; whatever comes from an agent is cleaned and capped here.
May import: protos, panel.services, panel.models and below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from panel.models import Command, CommandKind, CommandState
from panel.services.drift import Edit
from panel.services.recovery import JournalState, OpenCommand
from panel.services.sessions import AgentFacts, NginxFacts
from panel.services.transitions import REDELIVERY_WINDOW, CommandOutcome, OutputLine
from protos import command_stream_pb2 as pb

MAX_TEXT = 4096  # characters of one line or sentence
MAX_LINES = 500  # of one message
MAX_LISTED = 1000  # open commands, modules, file errors
MAX_EDITS = 50  # files that somebody changed by hand
MAX_EDITED = 64 << 10  # characters of one of them
MAX_SEQ = 1 << 62  # what a signed column holds
MAX_MESSAGE = 1 << 20  # bytes
INLINE_CONTENTS = 256 << 10  # bytes
CHUNK = 256 << 10  # bytes

# ANSI (CSI, OSC and two-byte escapes) as a whole, then every other control and the marks that reorder a line.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")

_LEVELS: Mapping[int, str] = {
    pb.OutputLine.STAGE: "stage",
    pb.OutputLine.OK: "ok",
    pb.OutputLine.WARNING: "warning",
    pb.OutputLine.ERROR: "error",
}
_JOURNAL_STATES: Mapping[int, JournalState] = {
    pb.OpenCommand.ACCEPTED: JournalState.ACCEPTED,
    pb.OpenCommand.RUNNING: JournalState.RUNNING,
    pb.OpenCommand.FINISHED: JournalState.FINISHED,
}
_EDITS: Mapping[int, str] = {
    pb.DriftedFile.CHANGED: "changed",
    pb.DriftedFile.MISSING: "missing",
    pb.DriftedFile.ADDED: "added",
}
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


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line of harmless text: no escapes, no controls, at most `limit` characters."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text[: 4 * limit].replace("\t", " ")))[:limit]


def nginx_facts(message: pb.NginxFacts) -> NginxFacts:
    """What an agent says of its nginx."""
    return NginxFacts(
        version=clean(message.version, 32),
        http_port=min(message.http_port, 65535),
        https_port=min(message.https_port, 65535),
        running=message.running,
        applied_revision=clean(message.applied_revision, 64),
        modules=tuple(clean(module, 128) for module in message.modules[:MAX_LISTED]),
        problem=clean(message.problem),
        ipv6=message.ipv6,
    )


def edits(message: pb.Drift) -> list[Edit]:
    """Files that somebody changed on an agent's machine; those of a kind that this panel does not know are left out."""
    return [
        Edit(
            path=clean(file.path, 255),
            kind=_EDITS[file.kind],
            sha256=clean(file.sha256, 64),
            text=_clean_text(file.text),
            original=_clean_text(file.original),
            is_truncated=file.truncated,
            is_loaded=file.loaded,
        )
        for file in message.files[:MAX_EDITS]
        if file.kind in _EDITS
    ]


def agent_facts(hello: pb.Hello, protocol: int) -> AgentFacts:
    """What an agent says of itself, and the protocol chosen for it."""
    return AgentFacts(
        version=clean(hello.agent_version, 32),
        protocol=protocol,
        boot_id=clean(hello.boot_id, 64),
        hostname=clean(hello.hostname, 255),
        os=clean(hello.os, 128),
        nginx=nginx_facts(hello.nginx),
    )


def open_commands(hello: pb.Hello) -> list[OpenCommand]:
    """The agent's journal as Hello lists it; entries in a state that this panel does not know are left out."""
    return [
        OpenCommand(clean(entry.command_id, 36), _JOURNAL_STATES[entry.state])
        for entry in hello.open_commands[:MAX_LISTED]
        if entry.state in _JOURNAL_STATES
    ]


def output_lines(lines: Iterable[pb.OutputLine], now: datetime) -> list[OutputLine]:
    """Lines of output, cleaned; `now` stands in for a time that no calendar knows."""
    return [
        OutputLine(
            line.seq, _moment(line.at, now), clean(line.stage, 16), _LEVELS.get(line.level, "info"), clean(line.text)
        )
        for line in list(lines)[:MAX_LINES]
        if 0 < line.seq < MAX_SEQ
    ]


def outcome(command: Command, message: pb.CommandResult) -> CommandOutcome:
    """How a command ended. A success whose proof is missing or for another revision is a failure."""
    state, reason, sentence = _OUTCOMES.get(message.outcome, _OUTCOMES[pb.CommandResult.FAILED])
    detail = message.WhichOneof("detail")
    result = _plain(getattr(message, detail)) if detail == command.kind else {}
    if state is CommandState.SUCCEEDED and not _is_proved(command, detail, result):
        sentence = "The agent reported success without proof that this revision is served. What it did is not known."
        return CommandOutcome(CommandState.FAILED, "INTERNAL", sentence, outcome_known=False, result=result)
    if detail == "apply_config" and state is CommandState.FAILED:
        reason = _apply_reason(message.apply_config, reason)
    error = "" if state is CommandState.SUCCEEDED else clean(message.error) or sentence
    return CommandOutcome(state, reason, error, outcome_known=reason != "INTERRUPTED", result=result)


@dataclass(frozen=True)
class Files:
    """What a command with a bundle brings: path to sha256, the size of each content, the texts that the agent lacks."""

    manifest: Mapping[str, str]
    sizes: Mapping[str, int]
    texts: Mapping[str, str]


def command(row: Command, files: Files | None = None) -> pb.PanelMessage:
    """A command for the wire; `files` when it has a bundle. Raises ValueError when it does not fit into one message."""
    now = datetime.now(UTC)
    message = pb.Command(
        command_id=row.id,
        seq=row.seq,
        time_to_live=duration(min(max(row.expires_at - now, timedelta(seconds=1)), REDELIVERY_WINDOW)),
        run_timeout=duration(timedelta(seconds=row.run_timeout)),
    )
    kind = CommandKind(row.kind)
    if kind is CommandKind.APPLY_CONFIG:
        message.apply_config.bundle.CopyFrom(_bundle(row, files))
    elif kind is CommandKind.TEST_CONFIG:
        message.test_config.bundle.CopyFrom(_bundle(row, files))
    elif kind is CommandKind.RELOAD:
        message.reload.SetInParent()
    elif kind is CommandKind.CHECK_NGINX:
        message.check_nginx.SetInParent()
    if message.ByteSize() > MAX_MESSAGE - 1024:
        raise ValueError("the command does not fit into one message")
    return pb.PanelMessage(command=message)


def chunks(sha256: str, text: str) -> Iterable[pb.PanelMessage]:
    """One content in pieces of at most 256 KiB, the last one marked."""
    data = text.encode()
    for offset in range(0, max(len(data), 1), CHUNK):
        piece = data[offset : offset + CHUNK]
        is_last = offset + CHUNK >= len(data)
        yield pb.PanelMessage(content=pb.Content(sha256=sha256, offset=offset, data=piece, last=is_last))


def duration(span: timedelta) -> Duration:
    """A span of time for the wire."""
    message = Duration()
    message.FromTimedelta(span)
    return message


def timestamp(moment: datetime) -> Timestamp:
    """A moment for the wire."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _bundle(row: Command, files: Files | None) -> pb.ConfigBundle:
    if files is None or not files.manifest:
        raise ValueError("nothing is known of the files of this command")
    bundle = pb.ConfigBundle(revision=row.payload["revision"])
    for path, sha256 in sorted(files.manifest.items()):
        bundle.files.add(path=path, sha256=sha256, size=files.sizes[sha256])
    room = min(INLINE_CONTENTS, MAX_MESSAGE - (64 << 10) - bundle.ByteSize())
    for sha256, text in sorted(files.texts.items()):
        data = text.encode()
        room -= len(data) + 128
        if room < 0:
            break  # the agent asks for the rest
        bundle.contents.add(sha256=sha256, data=data, last=True)
    return bundle


def _clean_text(text: str) -> str:
    """Lines of harmless text."""
    return "\n".join(clean(line) for line in text[:MAX_EDITED].splitlines())


def _is_proved(row: Command, detail: str | None, result: Mapping[str, Any]) -> bool:
    if detail != row.kind:
        return False
    return row.kind != CommandKind.APPLY_CONFIG or result["revision"] == row.payload.get("revision")


def _apply_reason(message: pb.ApplyConfigResult, reason: str) -> str:
    if message.degraded:
        return "ROLLBACK_FAILED"
    return "ROLLED_BACK" if message.rolled_back and reason == "FAILED" else reason


def _plain(message: Any) -> dict[str, Any]:
    """A result as plain JSON values under the contract's own names, every text cleaned."""
    values = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return {name: _clean_value(value) for name, value in values.items()}


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean_value(item) for item in value[:MAX_LISTED]]
    if isinstance(value, dict):
        return {name: _clean_value(item) for name, item in value.items()}
    return value


def _moment(stamp: Timestamp, now: datetime) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return now
