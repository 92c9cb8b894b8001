"""The networks that nginx is to be in: wanted ones are remembered on disk and put back whenever they are missing.
May import: agent.errors, agent.docker.{engine,facts}."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.docker.engine import DockerRefused, Engine
from agent.docker.facts import Container, Network
from agent.errors import AgentError

_log = logging.getLogger(__name__)


class AttachmentRefused(AgentError):
    """nginx cannot, or must not, be joined to or taken out of this network; the sentence says why."""


@dataclass(frozen=True)
class Attachment:
    """A wanted network by its name (its id changes when it is made again) and nginx's other names in it."""

    network: str
    aliases: tuple[str, ...] = ()


class Attachments:
    """Thread-safe. `container` is the name of the container that nginx runs in."""

    def __init__(self, file: Path, engine: Engine, container: str) -> None:
        self._file = file
        self._engine = engine
        self._container = container
        self._lock = threading.RLock()

    def wanted(self) -> list[Attachment]:
        """What is remembered, by name. Raises OSError when the file cannot be read, ValueError when it is damaged."""
        try:
            rows = json.loads(self._file.read_text())
        except FileNotFoundError:
            return []
        return sorted((Attachment(row["network"], tuple(row["aliases"])) for row in rows), key=lambda one: one.network)

    def attach(self, name: str, aliases: tuple[str, ...] = ()) -> Network:
        """Joins nginx to a network now and from now on. Doing it twice is fine.

        Raises AttachmentRefused, DockerRefused, DockerUnavailable; and then nothing is remembered.
        """
        with self._lock:
            network, nginx = self._find_network(name), self.nginx()
            if network.refusal:
                raise AttachmentRefused(f"nginx cannot be joined to {name}. {network.refusal}")
            if nginx.endpoint(network.id) is None:
                self._engine.connect(network, nginx, aliases)
            self._remember(Attachment(network.name, aliases))
            return network

    def detach(self, name: str) -> None:
        """Takes nginx out of a network, now and from now on. Doing it twice is fine.

        Raises AttachmentRefused when the agent could not reach nginx any more, DockerRefused, DockerUnavailable.
        """
        with self._lock:
            network, nginx = self._engine.find_network(name), self.nginx()
            if network is not None and (refusal := detach_refusal(network, nginx, self._engine.own_container())):
                raise AttachmentRefused(refusal)
            self._forget(name)
            if network is not None and nginx.endpoint(network.id) is not None:
                self._engine.disconnect(network, nginx)

    def restore(self) -> list[str]:
        """Puts back what is wanted and missing; the names of the networks that nginx was joined to.

        A network that does not exist now, or that refuses, is tried again at the next event. Raises DockerUnavailable.
        """
        with self._lock:
            wanted = self.wanted()
            nginx = self._engine.find_container(self._container) if wanted else None
            if nginx is None:
                return []
            networks = self._engine.networks()
            self._take_out_of_lost(nginx, networks)
            return [one.network for one in wanted if nginx.is_running and self._put_back(one, nginx, networks)]

    def nginx(self) -> Container:
        """The container that nginx runs in. Raises AttachmentRefused when there is none."""
        container = self._engine.find_container(self._container) if self._container else None
        if container is None:
            raise AttachmentRefused(
                f"There is no container {self._container}, in which nginx should run. Start it, or set "
                "AGENT_NGINX_CONTAINER to its name."
                if self._container
                else "nginx runs on the machine itself, which reaches every container without being in its network."
            )
        return container

    def _find_network(self, name: str) -> Network:
        network = self._engine.find_network(name)
        if network is None:
            raise AttachmentRefused(f"There is no network {name} on this machine.")
        return network

    def _take_out_of_lost(self, nginx: Container, networks: list[Network]) -> None:
        """Docker does not start a container that should be in a network which is gone."""
        known = {network.id for network in networks}
        for one in nginx.endpoints:
            if one.network_id and one.network_id not in known:
                self._engine.take_out(one, nginx)
                _log.info("nginx was taken out of %s, which is gone", one.network)

    def _put_back(self, attachment: Attachment, nginx: Container, networks: list[Network]) -> bool:
        network = next((one for one in networks if one.name == attachment.network), None)
        if network is None or nginx.endpoint(network.id) is not None:
            return False
        try:
            self._engine.connect(network, nginx, attachment.aliases)
        except DockerRefused as error:
            _log.warning("nginx could not be joined to %s: %s", attachment.network, error.message)
            return False
        _log.info("nginx was joined to %s again", attachment.network)
        return True

    def _remember(self, attachment: Attachment) -> None:
        self._change(lambda kept: [*(one for one in kept if one.network != attachment.network), attachment])

    def _forget(self, name: str) -> None:
        self._change(lambda kept: [one for one in kept if one.network != name])

    def _change(self, change: Callable[[list[Attachment]], list[Attachment]]) -> None:
        """Replaces the file in one step, so that a crash leaves the old one or the new one."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._file.with_suffix(".tmp")
        with draft.open("w") as file:
            json.dump([asdict(one) for one in change(self.wanted())], file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._file)


def detach_refusal(network: Network, nginx: Container, own: Container | None) -> str:
    """Why nginx must stay in this network; empty when it may leave. `own` is the agent's container, if it has one."""
    joined = {one.network_id for one in nginx.endpoints}
    if joined == {network.id}:
        return f"{network.name} is nginx's only network: without it nobody would reach it."
    shared = joined & {one.network_id for one in own.endpoints} if own else set()
    if shared == {network.id}:
        return f"The agent reaches nginx by {network.name}, so nginx must stay in it."
    return ""
