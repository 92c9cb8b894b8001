"""Installations to break: the panel in the test's process, or in one of its own that can be killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from panel import failpoints, pki
from panel.config import Config
from panel.extensions import stopping, vitals
from panel.models.types import utcnow
from panel.serve import Panel
from tests.agent.conftest import Bench, agent_config, bench, stopped_bench
from tests.conftest import config as panel_config
from tests.faults.plant import PanelProcess, Plant
from tests.product import free_ports

__all__ = ["agent_config", "bench", "panel_config", "stopped_bench"]


@pytest.fixture
def config(panel_config: Config) -> Config:
    """A panel that notices silence within seconds, which a loaded machine may be silent for too."""
    (port,) = free_ports(1)
    return replace(panel_config, stream_port=port, heartbeat_interval=1.0, stale_after=3.0, offline_after=6.0)


@pytest.fixture
def near(app: Flask, config: Config, bench: Bench) -> Iterator[Plant]:
    """An agent that is online at a panel in the test's own process."""
    panel = Panel(app)
    panel.start()
    plant = Plant(app, config, bench)
    plant.agent.start()
    plant.until_online()
    yield plant
    plant.stop()
    panel.stop()
    stopping.clear()
    failpoints.arm("")
    vitals.clock_ticked_at = None


@pytest.fixture
def far(app: Flask, config: Config, bench: Bench) -> Iterator[tuple[Plant, PanelProcess]]:
    """An installation whose panel is a process, and nothing of it runs yet."""
    pki.open_authority(config.pki_dir, utcnow())
    plant, panel = Plant(app, config, bench), PanelProcess(config)
    yield plant, panel
    plant.stop()
    panel.kill()
