"""A real nginx with rendered hosts, an upstream and a name server.
May import: panel.nginx, tests.panel.nginx."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from panel.models import ProxyHost
from panel.nginx import render
from panel.nginx.render import NginxFacts
from tests.panel.nginx.hosts import OLD
from tests.panel.nginx.servers import NameServer, Nginx, Serve, Upstream, free_port, make_certificate, nginx_version


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer("alive.test", "app_1")
    yield server
    server.stop()


@pytest.fixture
def serve(tmp_path: Path, names: NameServer) -> Iterator[Serve]:
    running: list[Nginx] = []

    def start(*hosts: ProxyHost, ipv6: bool = False, tls: bool = False, plain: tuple[int, ...] = ()) -> NginxFacts:
        version = ".".join(map(str, nginx_version()))
        facts = replace(OLD, version=version, http_port=free_port(), https_port=free_port(), ipv6=ipv6)
        pairs = {
            host.id: make_certificate(tmp_path / f"live/{host.id}") for host in hosts if tls and host.id not in plain
        }
        bundle = render.render_bundle(hosts, facts, pairs)
        running.append(Nginx(tmp_path, bundle, resolver=names.address))
        return facts

    yield start
    for nginx in running:
        nginx.stop()
