"""A Docker Engine that hangs: what is known of nginx in a container comes late, and not later than that.
May import: agent, pytest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.config import AgentConfig
from agent.docker.engine import CALL_SECONDS, Engine
from agent.docker.facts import Container
from agent.docker.knock import DockerUnavailable
from agent.nginx import container
from agent.nginx.container import ContainerNginx
from agent.nginx.layout import Layout


class Clock:
    """Time passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Hanging(Engine):
    """Takes every call and answers none."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.asked = 0

    def find_container(self, name_or_id: str) -> Container | None:
        self.asked += 1
        self._clock.now += CALL_SECONDS
        raise DockerUnavailable(f"No answer about {name_or_id} in time.")


def test_one_look_at_nginx_waits_once(agent_config: AgentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(container, "time", clock)
    engine = Hanging(clock)
    config = replace(agent_config, nginx_container="nginx")
    nginx = ContainerNginx(config, Layout(config.nginx_dir), engine)
    for _ in range(3):
        assert nginx.facts().problem == "No answer about nginx in time."
    assert engine.asked == 1
    clock.now += CALL_SECONDS
    nginx.facts()
    assert engine.asked == 2
