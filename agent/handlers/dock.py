"""What an agent does about Docker and about upstreams, put together: it follows, puts back, checks, and tells.
May import: protos, agent.config, agent.docker, agent.errors, agent.handlers, agent.nginx, agent.upstreams."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

from agent.config import AgentConfig
from agent.docker.attachments import Attachment, Attachments
from agent.docker.engine import DockerRefused, Engine
from agent.docker.knock import DockerUnavailable, has_address
from agent.docker.snapshot import Camera, Snapshot
from agent.docker.watch import Watch
from agent.errors import AgentError
from agent.handlers.docker_reports import DockerReporter, UpstreamReporter
from agent.handlers.docker_wire import write_report
from agent.handlers.told import Send
from agent.nginx.layout import Layout
from agent.nginx.machine import detect
from agent.nginx.release import Releases
from agent.upstreams.check import Checker
from agent.upstreams.rounds import Rounds
from agent.upstreams.store import UpstreamStore
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

# What happens together is told together: a stack that starts makes dozens of events.
GATHER_SECONDS = 0.3


class Dock:
    """Without an Engine only upstreams are looked at, and the package docker is not loaded."""

    def __init__(self, config: AgentConfig, layout: Layout, facts: Callable[[], pb.NginxFacts], send: Send) -> None:
        """`send` answers whether there was a stream to send on."""
        self.nginx_container = config.nginx_container
        self._host = config.docker_host
        self._engine = Engine(config.docker_host) if config.docker_host else None
        self._camera = Camera(self._engine, config.nginx_container, socket.gethostname()) if self._engine else None
        file = config.state_dir / "docker" / "attachments.json"
        self._attachments = Attachments(file, self._engine, config.nginx_container) if self._engine else None
        self._reporter = DockerReporter(facts, send)
        self._upstream_reporter = UpstreamReporter(facts, send)
        self.upstreams = UpstreamStore(config.state_dir / "upstreams.json", lambda: _revision(layout))
        checker = Checker(lambda: detect(config, layout)[0], config.nginx_container, self._engine)
        self.rounds = Rounds(self.upstreams, checker, self._look_if_any, self._upstream_reporter.report)
        self._watch: Watch | None = None
        self._news = threading.Event()
        self._stop = threading.Event()

    @property
    def attachments(self) -> Attachments:
        """The networks that nginx is to be in. Raises AgentError where Docker is switched off."""
        if self._attachments is None:
            raise AgentError("This agent uses no Docker Engine: AGENT_DOCKER_HOST is off.")
        return self._attachments

    def start(self) -> None:
        """Begins to follow an Engine, where there is one, and to check."""
        self._try_to_follow()
        self.rounds.start()

    def stop(self) -> None:
        """Ends it; nothing of this must be finished."""
        self._stop.set()
        self._news.set()
        self.rounds.stop()
        if self._watch is not None:
            self._watch.stop()

    def connected(self) -> None:
        """A new session: the panel is told everything anew."""
        self._reporter.restart()
        self._upstream_reporter.restart()
        if states := self.rounds.states():  # before the first round the panel knows better
            self._upstream_reporter.report(states)
        if self._watch is None:
            self._reporter.report(pb.DockerReport(nginx_container=self.nginx_container))
        self._news.set()

    def tick(self) -> None:
        """From time to time: an Engine may have been installed since."""
        self._try_to_follow()

    def look(self) -> Snapshot:
        """What the Engine tells now. Raises DockerUnavailable, DockerRefused, AgentError where Docker is off."""
        if self._camera is None:
            raise AgentError("This agent uses no Docker Engine: AGENT_DOCKER_HOST is off.")
        if not has_address(self._host):
            raise DockerUnavailable(f"There is no Docker Engine at {self._host}. Start it, or set AGENT_DOCKER_HOST.")
        return self._camera.look()

    def wanted(self) -> list[Attachment]:
        """The networks that nginx is to be in; none when they cannot be read, which is logged."""
        try:
            return self._attachments.wanted() if self._attachments else []
        except (OSError, ValueError) as error:
            _log.error("the networks that nginx is to be in cannot be read: %s", error)
            return []

    def _look_if_any(self) -> Snapshot | None:
        """For checks. On a bare machine containers are only a help to explain; in a container nothing goes without."""
        if not self.nginx_container and self._watch is None:
            return None
        try:
            return self.look()
        except DockerUnavailable:
            if self.nginx_container:
                raise
            return None

    def _try_to_follow(self) -> None:
        """Without a socket nothing is started, unless nginx's container says that there should be one."""
        if self._watch is not None or self._engine is None or self._attachments is None or self._stop.is_set():
            return
        if has_address(self._host) or self.nginx_container:
            self._watch = Watch(self._engine, self._attachments, self._news.set)
            self._watch.start()
            threading.Thread(target=self._tell_news, name="docker-news", daemon=True).start()

    def _tell_news(self) -> None:
        """The thread of reports: after the last of several changes, and not more often than a person can read."""
        while not self._stop.is_set():
            self._news.wait()
            if self._stop.wait(GATHER_SECONDS):
                return
            self._news.clear()
            try:
                snapshot = self.look()
            except (DockerRefused, DockerUnavailable) as error:
                self._reporter.report(pb.DockerReport(problem=error.message, nginx_container=self.nginx_container))
                continue
            self._reporter.report(write_report(snapshot, self.nginx_container, self.wanted()))
            self.rounds.changed(snapshot)


def _revision(layout: Layout) -> str:
    current = Releases(layout).current()
    return current.bundle.revision if current else ""
