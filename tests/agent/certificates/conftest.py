"""A real authority for each module, and an agent's workshop beside a real nginx for each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent import failpoints
from agent.config import AgentConfig
from tests.agent.certificates.bench import CertificateBench
from tests.agent.conftest import Bench, bench, stopped_bench
from tests.agent.conftest import agent_config as any_config
from tests.challtestsrv import Challtestsrv, running_challtestsrv
from tests.pebble import Pebble, running_pebble

__all__ = ["any_config", "bench", "stopped_bench"]


@pytest.fixture(scope="module")
def dns() -> Iterator[Challtestsrv]:
    """Every name leads to this machine."""
    with running_challtestsrv() as server:
        server.set_default_ipv6("")
        yield server


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory, dns: Challtestsrv) -> Iterator[Pebble]:
    """Validates where nginx of each test listens."""
    with running_pebble(tmp_path_factory.mktemp("pebble"), dns_server=dns.dns_server) as pebble:
        yield pebble


@pytest.fixture
def agent_config(any_config: AgentConfig, pebble: Pebble) -> AgentConfig:
    return replace(any_config, http_port=pebble.http_port)


@pytest.fixture
def certificates(bench: Bench, pebble: Pebble) -> Iterator[CertificateBench]:
    """An agent with a first configuration that lets challenges through."""
    found = CertificateBench(bench, pebble).start()
    assert found.apply().error == ""
    yield found
    failpoints.arm("")
    found.stop()
