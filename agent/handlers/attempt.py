"""One attempt at a command: runs its handler and makes a result of whatever happens.
May import: protos, agent.errors, agent.handlers, agent.nginx.guard, agent.output."""

from __future__ import annotations

import logging
import threading
import time

from agent.errors import AgentError, Cancelled, Stopping
from agent.handlers import HANDLERS
from agent.handlers.job import Job
from agent.nginx.guard import Guard
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

DEFAULT_RUN_SECONDS = 120.0


def attempt(job: Job) -> pb.CommandResult:
    """The result, whose sentence is in the output too. Raises Stopping when the agent stops: nobody knows the end."""
    try:
        return HANDLERS[job.command.WhichOneof("action") or ""].run(job)
    except Stopping:
        raise
    except Cancelled as error:
        return refusal(pb.CommandResult.CANCELLED, error.message)
    except AgentError as error:
        job.output.fail(error.message)
        return refusal(pb.CommandResult.FAILED, error.message)
    except Exception:  # noqa: BLE001 - the boundary of a command handler: a bug ends this command and not the agent
        _log.exception("command %s failed", job.command.command_id)
        return refusal(pb.CommandResult.FAILED, "The agent met an error of its own; its log has the details.")


def refusal(outcome: pb.CommandResult.Outcome.ValueType, error: str) -> pb.CommandResult:
    """A result without any detail."""
    return pb.CommandResult(outcome=outcome, error=error)


def refuse(command: pb.Command, age: float, cancelled: threading.Event) -> pb.CommandResult | None:
    """Why a command is not started at all; None when it may start. `age` is seconds since it arrived."""
    if command.WhichOneof("action") not in HANDLERS:
        return refusal(pb.CommandResult.UNSUPPORTED, "This agent does not know this command. Update the agent.")
    if cancelled.is_set():
        return refusal(pb.CommandResult.CANCELLED, "Cancelled before it started.")
    if command.HasField("time_to_live") and age > command.time_to_live.ToTimedelta().total_seconds():
        return refusal(pb.CommandResult.EXPIRED, "Its time had passed before it could start.")
    return None


def guard_of(command: pb.Command, cancelled: threading.Event, stopping: threading.Event) -> Guard:
    """The limits of a command that starts now."""
    seconds = command.run_timeout.ToTimedelta().total_seconds() or DEFAULT_RUN_SECONDS
    return Guard(time.monotonic() + seconds, cancelled, stopping)
