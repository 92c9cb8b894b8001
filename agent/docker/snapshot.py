"""All that an Engine tells at one moment, with the names by which containers find each other.
May import: agent.docker.{engine,facts}."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from agent.docker.engine import DockerRefused, Engine
from agent.docker.facts import Container, Network


@dataclass(frozen=True)
class Snapshot:
    """One moment. `nginx` and `own` are the containers of nginx and of the agent, None where they run elsewhere."""

    version: str
    containers: tuple[Container, ...]
    networks: tuple[Network, ...]
    nginx: Container | None
    own: Container | None

    def network(self, id_: str) -> Network | None:
        """The network of this id."""
        return next((one for one in self.networks if one.id == id_), None)


class Camera:
    """Thread-safe. A container is asked for its other names once for each set of networks that it is in."""

    def __init__(self, engine: Engine, nginx_container: str, own_hostname: str) -> None:
        self._engine = engine
        self._nginx = nginx_container
        self._own = own_hostname
        self._known: dict[str, Container] = {}
        self._lock = threading.Lock()

    def look(self) -> Snapshot:
        """Raises DockerUnavailable and DockerRefused."""
        with self._lock:
            listed = self._engine.containers()
            self._known = {one.id: self._with_aliases(one) for one in listed}
            containers = tuple(self._known.values())
            networks = tuple(self._engine.networks())
            version = self._engine.version()
        nginx = next((one for one in containers if one.is_called(self._nginx)), None)
        own = next((one for one in containers if one.is_called(self._own)), None)
        return Snapshot(version, containers, networks, nginx, own)

    def _with_aliases(self, container: Container) -> Container:
        known = self._known.get(container.id)
        if known is not None and _places(known) == _places(container):
            return replace(container, endpoints=known.endpoints)
        try:
            aliases = self._engine.aliases(container)
        except DockerRefused:  # it is gone meanwhile; the event of that is on its way
            return container
        endpoints = tuple(replace(one, aliases=aliases.get(one.network_id, ())) for one in container.endpoints)
        return replace(container, endpoints=endpoints)


def _places(container: Container) -> list[tuple[str, str]]:
    return [(one.network_id, one.address) for one in container.endpoints]
