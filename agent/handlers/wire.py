"""Between the wire's messages and the engine's values.
May import: protos, agent.journal, agent.nginx."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from agent.nginx.bundle import Bundle, BundleFile
from agent.nginx.interface import Facts
from agent.nginx.outcome import Outcome
from agent.nginx.words import FileError
from protos import command_stream_pb2 as pb

# Bytes for the refused files of a result, and for its warnings. A message has at most 1 MiB: a larger one would end
# this stream and each one after it.
ROOM = 400_000

_Told = TypeVar("_Told")


def payload_hash(command: pb.Command) -> str:
    """What must be equal when a command is sent again: all but its number, its times and the contents it carries."""
    bare = pb.Command()
    bare.CopyFrom(command)
    for field in ("seq", "time_to_live", "run_timeout"):
        bare.ClearField(field)
    if command.HasField("apply_config"):
        bare.apply_config.ClearField("upstreams")  # what its files say already, told apart for checks
    for action in (bare.apply_config, bare.test_config) if _bundle(command) else ():
        if action.HasField("bundle"):
            action.bundle.ClearField("contents")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def lane_of(command: pb.Command) -> str:
    """The resource of a command: nothing else is done about it meanwhile."""
    kind = command.WhichOneof("action") or ""
    if kind.endswith("_network"):
        return "docker"
    if not kind.endswith("_certificate"):
        return "nginx"
    action = getattr(command, kind)
    return lane(action.spec.name if "spec" in action.DESCRIPTOR.fields_by_name else action.name)


def lane(name: str) -> str:
    """That of a certificate."""
    return f"acme:{name}"


def read_bundle(bundle: pb.ConfigBundle) -> Bundle:
    """The manifest; contents are fetched apart."""
    return Bundle(bundle.revision, tuple(BundleFile(f.path, f.sha256, f.size) for f in bundle.files))


def sent_contents(command: pb.Command) -> Iterable[pb.Content]:
    """The contents that came with the command."""
    bundle = _bundle(command)
    return bundle.contents if bundle else ()


def write_facts(facts: Facts) -> pb.NginxFacts:
    """For Hello, Heartbeat, Report and results."""
    return pb.NginxFacts(
        version=facts.version,
        http_port=facts.http_port,
        https_port=facts.https_port,
        running=facts.running,
        applied_revision=facts.applied_revision,
        modules=facts.modules,
        problem=facts.problem,
        ipv6=facts.ipv6,
    )


def write_errors(errors: Iterable[FileError]) -> list[pb.FileError]:
    """Refused files, as many as there is room for."""
    found = (pb.FileError(path=error.path, line=error.line, text=error.text) for error in errors)
    return list(_within_room(found, pb.FileError.ByteSize))


def write_warnings(warnings: Iterable[str]) -> list[str]:
    """What nginx takes and does not like, as much as there is room for."""
    return list(_within_room(warnings, lambda text: len(text.encode())))


def _within_room(found: Iterable[_Told], size_of: Callable[[_Told], int]) -> Iterator[_Told]:
    room = ROOM
    for one in found:
        room -= size_of(one) + 4
        if room < 0:
            return
        yield one


def write_outcome(outcome: Outcome) -> pb.CommandResult:
    """The result of an apply."""
    detail = pb.ApplyConfigResult(
        revision=outcome.revision,
        failed_stage=outcome.failed_stage,
        rolled_back=outcome.rolled_back,
        degraded=outcome.degraded,
        file_errors=write_errors(outcome.file_errors),
        warnings=write_warnings(outcome.warnings),
    )
    state = pb.CommandResult.FAILED if outcome.error else pb.CommandResult.SUCCEEDED
    return pb.CommandResult(outcome=state, error=outcome.error, apply_config=detail)


def _bundle(command: pb.Command) -> pb.ConfigBundle | None:
    action = command.WhichOneof("action")
    if action == "apply_config":
        return command.apply_config.bundle
    return command.test_config.bundle if action == "test_config" else None
