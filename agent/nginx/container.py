"""An nginx that runs in a container of its own; its files lie in a volume that both have at the same path.
May import: agent.config, agent.docker, agent.errors, agent.nginx.{controller,guard,interface,layout,system}."""

from __future__ import annotations

import time
from pathlib import Path

from agent.config import AgentConfig
from agent.docker.engine import DockerRefused, Engine
from agent.docker.facts import Container, Process
from agent.docker.knock import DockerUnavailable
from agent.errors import NginxUnavailable
from agent.nginx.controller import TEST_SECONDS, LocalNginx, read_report, test_arguments
from agent.nginx.guard import Guard
from agent.nginx.interface import Processes, ProcessKey, TestReport
from agent.nginx.layout import Layout
from agent.nginx.system import parse_build

_GRACE_SECONDS = 5.0
_SEEN_SECONDS = 0.3


class ContainerNginx(LocalNginx):
    """Tested by exec, reloaded by a signal through the API, watched by the Engine's list of processes.

    What is read from files (the error log, the release on disk) is read as that of a local nginx.
    """

    def __init__(self, config: AgentConfig, layout: Layout, engine: Engine) -> None:
        super().__init__(config, layout)
        self._name = config.nginx_container
        self._engine = engine
        self._seen: tuple[float, Container | None] = (float("-inf"), None)
        self._trouble: tuple[float, str] = (float("-inf"), "")
        self._known_build: tuple[str, tuple[str, tuple[str, ...]]] = ("", ("", ()))

    def test(self, conf: Path, guard: Guard) -> TestReport:
        """By exec of the same binary that serves. `timeout` ends it in the container, which the API cannot."""
        version, _ = self.build()
        guard.check()
        seconds = min(TEST_SECONDS, max(1.0, guard.remaining()))
        command = ["timeout", "-s", "KILL", str(int(seconds)), "nginx", *test_arguments(version, conf)]
        return read_report(*self._run(command, seconds + _GRACE_SECONDS))

    def processes(self) -> Processes:
        """By the Engine's list, one call; its numbers are those of the Engine's machine."""
        found = self._list()
        master = next((one for one in found if one.title.startswith("nginx: master process")), None)
        if master is None:
            raise NginxUnavailable(self._stopped())
        workers = [one for one in found if one.parent == master.pid and one.title.startswith("nginx: worker process")]
        leaving = frozenset(_key(one) for one in workers if "shutting down" in one.title)
        serving = frozenset(map(_key, workers)) - leaving
        return Processes(_key(master), serving, leaving, logged_as=self._pid_in_container())

    def serving_since(self) -> float:
        """From the age of the oldest worker that serves."""
        ages = [one.age for one in self._list() if one.title == "nginx: worker process"]
        return time.time() - max(ages) if ages else 0.0

    def signal(self, name: str) -> None:
        """To the container's first process, which is nginx's master."""
        container = self._running()
        try:
            self._engine.signal(container, name)
        except (DockerRefused, DockerUnavailable) as error:
            raise NginxUnavailable(error.message) from error

    def address(self) -> str:
        """The container's address in a network that this agent is in too; else in any, as a bare machine reaches it."""
        container = self._running()
        own = self._engine.own_container()
        shared = {one.network_id for one in own.endpoints} if own else set()
        found = [one.address for one in container.endpoints if one.address and (not own or one.network_id in shared)]
        if not found:
            raise NginxUnavailable(
                f"The agent and the container {self._name} have no network in common. Put both into one."
            )
        return found[0]

    def build(self) -> tuple[str, tuple[str, ...]]:
        """By `nginx -V` in the container, once for each container."""
        container = self._running()
        if self._known_build[0] != container.id:
            _, output = self._run(["nginx", "-V"], _GRACE_SECONDS)
            self._known_build = (container.id, parse_build(output.decode(errors="replace")))
        return self._known_build[1]

    def _run(self, command: list[str], seconds: float) -> tuple[int, bytes]:
        container = self._running()
        try:
            return self._engine.run(container, command, seconds)
        except (DockerRefused, DockerUnavailable) as error:
            raise NginxUnavailable(error.message) from error

    def _list(self) -> list[Process]:
        container = self._running()
        try:
            return self._engine.processes(container)
        except (DockerRefused, DockerUnavailable) as error:
            raise NginxUnavailable(error.message) from error

    def _pid_in_container(self) -> int:
        try:
            return int(self._layout.pid.read_text())
        except (OSError, ValueError):
            raise NginxUnavailable(self._stopped()) from None

    def _running(self) -> Container:
        """The container; a proof asks a hundred times a second, so that a look is good for a moment."""
        seen_at, container = self._seen
        if time.monotonic() - seen_at > _SEEN_SECONDS:
            container = self._look()
            self._seen = (time.monotonic(), container)
        if container is None:
            raise NginxUnavailable(
                f"There is no container {self._name}. Start it, or set AGENT_NGINX_CONTAINER to its name."
            )
        if not container.is_running:
            raise NginxUnavailable(self._stopped())
        return container

    def _look(self) -> Container | None:
        """An Engine that hangs is left alone for as long as it has kept us waiting: one look at nginx asks it often,
        and the agent's loop must turn."""
        began, (until, words) = time.monotonic(), self._trouble
        if began < until:
            raise NginxUnavailable(words)
        try:
            return self._engine.find_container(self._name)
        except (DockerRefused, DockerUnavailable) as error:
            self._trouble = (2 * time.monotonic() - began, error.message)
            raise NginxUnavailable(error.message) from error

    def _stopped(self) -> str:
        return f"nginx is not running in the container {self._name}. Start it: docker start {self._name}"


def _key(process: Process) -> ProcessKey:
    return process.pid, process.started
