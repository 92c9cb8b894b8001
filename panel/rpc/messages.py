"""Between protobuf and the panel's own values; whatever comes from an agent is cleaned and capped here.
May import: protos, panel.rpc.text, panel.services and below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from panel.rpc.text import MAX_LISTED, clean, clean_lines, moment, moment_in
from panel.services.agent_jobs import StartedCommand
from panel.services.drift import Edit
from panel.services.recovery import JournalState, OpenCommand
from panel.services.sessions import AgentFacts, NginxFacts
from panel.services.transitions import OutputLine
from protos import command_stream_pb2 as pb

MAX_LINES = 500  # of one message
MAX_EDITS = 50  # files that somebody changed by hand
MAX_EDITED = 64 << 10  # characters of one of them
MAX_PROVIDERS = 300  # of DNS
MAX_FIELDS = 40  # of one of them
MAX_HELP = 1000  # characters
MAX_SEQ = 1 << 62  # what a signed column holds

_WORD = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_LEVELS: Mapping[int, str] = {
    pb.OutputLine.STAGE: "stage",
    pb.OutputLine.OK: "ok",
    pb.OutputLine.WARNING: "warning",
    pb.OutputLine.ERROR: "error",
    pb.OutputLine.RECORD: "record",
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
            text=clean_lines(file.text, MAX_EDITED),
            original=clean_lines(file.original, MAX_EDITED),
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
        dns_providers=tuple(_provider(one) for one in hello.dns_providers[:MAX_PROVIDERS] if _WORD.match(one.id)),
    )


def _provider(message: pb.DnsProvider) -> dict[str, Any]:
    """What a form must ask for, as plain JSON values under the contract's own names."""
    return {
        "id": message.id,
        "label": clean(message.label, 64) or message.id,
        "help": clean(message.help, MAX_HELP),
        "fields": [
            {
                "name": one.name,
                "label": clean(one.label, 64) or one.name,
                "help": clean(one.help, MAX_HELP),
                "secret": one.secret,
                "optional": one.optional,
            }
            for one in message.fields[:MAX_FIELDS]
            if _WORD.match(one.name)
        ],
    }


def started_command(message: pb.CommandStarted, command_id: str, now: datetime) -> StartedCommand | None:
    """A job that an agent began by itself; None for one that no agent may begin, or that this panel does not know."""
    if message.WhichOneof("action") != "renew_certificate":
        return None
    name = clean(message.renew_certificate.name, 200)
    return StartedCommand(clean(command_id, 36), name, moment_in(message, "started_at") or now)


def open_commands(hello: pb.Hello, now: datetime) -> list[OpenCommand]:
    """The agent's journal as Hello lists it; entries in a state that this panel does not know are left out."""
    return [
        OpenCommand(
            clean(entry.command_id, 36),
            _JOURNAL_STATES[entry.state],
            started_command(entry.started, entry.command_id, now) if entry.HasField("started") else None,
        )
        for entry in hello.open_commands[:MAX_LISTED]
        if entry.state in _JOURNAL_STATES
    ]


def output_lines(lines: Iterable[pb.OutputLine], now: datetime) -> list[OutputLine]:
    """Lines of output, cleaned; `now` stands in for a time that no calendar knows."""
    return [
        OutputLine(
            line.seq, moment(line.at, now), clean(line.stage, 16), _LEVELS.get(line.level, "info"), clean(line.text)
        )
        for line in list(lines)[:MAX_LINES]
        if 0 < line.seq < MAX_SEQ
    ]
