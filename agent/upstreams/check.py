"""Can nginx reach an upstream, and if not, why? Nothing is changed, and nothing but a handshake is sent.
May import: agent.docker, agent.errors, agent.nginx, agent.upstreams."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.docker.engine import Engine
from agent.docker.snapshot import Snapshot
from agent.errors import NginxUnavailable
from agent.nginx.wrapper import Machine
from agent.upstreams.connect import SECONDS, Result, connect
from agent.upstreams.exec import InsideProbe, NoProgram
from agent.upstreams.names import Unresolved, resolve
from agent.upstreams.sight import Sight, look_at
from agent.upstreams.upstream import Cause, Finding, State, Upstream
from agent.upstreams.words import explain

# nginx's resolver knows no such name, so that the panel writes its address: panel.nginx.render.
_LOCAL = {"localhost": "127.0.0.1"}


class Checker:
    """Looks from where nginx is. Thread-safe."""

    def __init__(self, machine: Callable[[], Machine], nginx_container: str, engine: Engine | None) -> None:
        """`machine` tells nginx's name servers. Without a container nginx runs on this machine."""
        self._machine = machine
        self._nginx_container = nginx_container
        self._inside = InsideProbe(engine) if engine else None

    def check(self, upstream: Upstream, snapshot: Snapshot | None) -> State:
        """Takes at most about eight seconds. `snapshot` is what the Engine tells now, None without one. Raises
        NginxUnavailable when nginx's container cannot be looked from, DockerUnavailable and DockerRefused."""
        began = time.monotonic()
        local = _LOCAL.get(upstream.host)
        asked = Upstream(upstream.scheme, local, upstream.port) if local else upstream
        sight = look_at(asked, snapshot) if snapshot else Sight()
        finding = self._find(asked, sight, snapshot)
        return State.now(upstream, finding, time.monotonic() - began)

    def _find(self, upstream: Upstream, sight: Sight, snapshot: Snapshot | None) -> Finding:
        if not self._nginx_container:
            return explain(upstream, sight, self._connect(upstream), in_container=False)
        if sight.container and not sight.is_running:
            return explain(upstream, sight, Result(Cause.STOPPED))
        if sight.container and not sight.is_shared:
            return explain(upstream, sight, Result(Cause.NO_COMMON_NETWORK))
        return explain(upstream, sight, self._from_container(upstream, sight, snapshot))

    def _connect(self, upstream: Upstream) -> Result:
        """From this machine."""
        machine = self._machine()
        try:
            addresses = [upstream.address] if upstream.address else self._resolve(upstream.host, machine)
        except Unresolved as error:
            return Result(Cause.UNRESOLVED, error.reason)
        return connect(addresses, upstream.port, _server_name(upstream))

    def _resolve(self, host: str, machine: Machine) -> list[str]:
        return resolve(host, machine.resolvers, SECONDS, ipv6=machine.ipv6)

    def _from_container(self, upstream: Upstream, sight: Sight, snapshot: Snapshot | None) -> Result:
        """By the agent itself where it shares the network that leads there; else by a program beside nginx."""
        if sight.direct:
            return connect([sight.direct], upstream.port, _server_name(upstream))
        nginx = snapshot.nginx if snapshot else None
        if nginx is None or not nginx.is_running or self._inside is None:
            raise NginxUnavailable(
                f"nginx's container {self._nginx_container} does not run, so that nobody can look from there. Start it:"
                f" docker start {self._nginx_container}"
            )
        try:
            return self._inside.connect(nginx, upstream)
        except NoProgram:
            return Result(detail="nginx's image has no program that could try it; as far as Docker tells, it is there")


def _server_name(upstream: Upstream) -> str | None:
    """The name for TLS; None without TLS."""
    if upstream.scheme != "https":
        return None
    return "" if upstream.address else upstream.host
