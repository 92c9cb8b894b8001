"""A whole panel on real ports with real TLS, and agents that join it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from panel.config import Config
from panel.extensions import stopping, transaction, vitals
from panel.serve import Panel
from panel.services import agents
from tests.panel.rpc.wire import Identity, enroll

Join = Callable[[str], tuple[str, Identity]]
APPLIED = "a" * 64


@pytest.fixture
def panel(app: Flask) -> Iterator[Panel]:
    panel = Panel(app)
    panel.start()
    yield panel
    panel.stop()
    stopping.clear()
    vitals.clock_ticked_at = None


@pytest.fixture
def live(panel: Panel) -> Config:
    """The configuration with the ports that were bound."""
    return panel.config


@pytest.fixture
def token(app: Flask, live: Config) -> str:
    """A join token of a new agent named "edge"."""
    with app.app_context(), transaction():
        return agents.create("edge", None, live)[1]


@pytest.fixture
def join(app: Flask, live: Config) -> Join:
    """Makes an agent of this name and lets it join: its id and identity."""

    def join(name: str) -> tuple[str, Identity]:
        with app.app_context(), transaction():
            agent, token = agents.create(name, None, live)
            agent_id = agent.id
        identity = Identity()
        enroll(live, token, identity)
        return agent_id, identity

    return join


@pytest.fixture
def ready(app: Flask, join: Join) -> tuple[str, Identity]:
    """An agent on which something was applied before, so that Hello alone makes no command."""
    agent_id, identity = join("edge")
    with app.app_context(), transaction():
        agents.get(agent_id).applied_revision = APPLIED
    return agent_id, identity
