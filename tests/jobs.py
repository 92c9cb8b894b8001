"""Jobs for tests, with the output that an agent would have sent.
May import: panel, tests.conftest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import Flask

from panel.models import Agent, Command, CommandOutput
from panel.models.types import utcnow
from tests.conftest import store

Line = tuple[float, str, str, str]  # seconds after the start, stage, level, text
Make = Callable[..., str]


def add_job(
    app: Flask, agent: Agent, kind: str, state: str, lines: Sequence[Line] = (), *, took: float = 6.0, **values: Any
) -> str:
    """A job that was asked for half a minute ago; its id. `values` are those of its row."""
    began = utcnow() - timedelta(seconds=30)
    command = Command(id=str(uuid4()), agent_id=agent.id, seq=1, kind=kind, state=state, created_at=began)
    command.expires_at = began + timedelta(days=1)
    command.started_at = began + timedelta(seconds=0.2) if lines else None
    command.finished_at = None if state in {"queued", "sent", "running"} else began + timedelta(seconds=took)
    command.last_output_seq = len(lines)
    for name, value in values.items():
        setattr(command, name, value)
    store(app, command)
    for seq, (after, stage, level, text) in enumerate(lines, 1):
        at = began + timedelta(seconds=after)
        store(app, CommandOutput(command_id=command.id, seq=seq, at=at, stage=stage, level=level, text=text))
    return command.id
