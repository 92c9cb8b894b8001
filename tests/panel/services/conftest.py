"""Hosts to apply, and the authorities that come with Waypost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from panel.config import Config
from panel.extensions import transaction
from panel.models import Agent, ProxyHost
from panel.services import proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec
from tests.panel.services.certifying import set_up


@pytest.fixture
def spec(agent: Agent) -> ProxyHostSpec:
    return ProxyHostSpec(agent.id, ("app.example.com",), "http", "10.0.0.5", 3000, websocket=False)


@pytest.fixture
def save(context: None, spec: ProxyHostSpec) -> Callable[..., ProxyHost]:
    def create(name: str = "app.example.com", **values: Any) -> ProxyHost:
        with transaction():
            return proxy_hosts.create(replace(spec, domain_names=(name,), **values), None)

    return create


@pytest.fixture
def builtin_authorities(context: None, config: Config) -> None:
    """There from the first start."""
    set_up(config)
