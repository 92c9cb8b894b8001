"""Tells the panel of Docker and of upstreams: all of it in each session, then whenever something differs.
May import: protos, agent.docker, agent.errors, agent.handlers.docker_wire, agent.upstreams."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from agent.handlers.docker_wire import write_states
from agent.upstreams.upstream import State
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

Send = Callable[[pb.AgentMessage], bool]


class Told:
    """One part of a Report, sent when it differs from the last that was sent. Thread-safe."""

    def __init__(self, facts: Callable[[], pb.NginxFacts], send: Send) -> None:
        """`send` answers whether there was a stream to send on."""
        self._facts = facts
        self._send = send
        self._told: bytes | None = None
        self._lock = threading.Lock()

    def restart(self) -> None:
        """A new session: the panel is told everything anew."""
        with self._lock:
            self._told = None

    def tell(self, report: pb.Report, alike: bytes) -> None:
        """`alike` is what two reports have in common that say the same."""
        with self._lock:
            if alike == self._told:
                return
            report.nginx.CopyFrom(self._facts())
            if self._send(pb.AgentMessage(report=report)):
                self._told = alike


class DockerReporter:
    """What is known of the Engine, in the words of the contract."""

    def __init__(self, facts: Callable[[], pb.NginxFacts], send: Send) -> None:
        self._told = Told(facts, send)

    def restart(self) -> None:
        """A new session."""
        self._told.restart()

    def report(self, docker: pb.DockerReport) -> None:
        """Tells it when anything is new."""
        self._told.tell(pb.Report(docker=docker), docker.SerializeToString(deterministic=True))


class UpstreamReporter:
    """The same of upstreams. When one was checked, and how long it took, is no news by itself."""

    def __init__(self, facts: Callable[[], pb.NginxFacts], send: Send) -> None:
        self._told = Told(facts, send)

    def restart(self) -> None:
        """A new session."""
        self._told.restart()

    def report(self, states: Sequence[State]) -> None:
        """Tells all of it when anything is new."""
        report = write_states(states)
        alike = pb.UpstreamReport()
        alike.CopyFrom(report)
        for state in alike.upstreams:
            state.ClearField("checked_at")
            state.ClearField("milliseconds")
        self._told.tell(pb.Report(upstreams=report), alike.SerializeToString(deterministic=True))
