"""Tells the panel of Docker and of upstreams: all of it in each session, then whenever something differs.
May import: protos, agent.docker, agent.errors, agent.handlers.{docker_wire,told}, agent.upstreams."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.handlers.docker_wire import write_states
from agent.handlers.told import Send, Told
from agent.upstreams.upstream import State
from protos import command_stream_pb2 as pb


class DockerReporter:
    """What is known of the Engine, in the words of the contract."""

    def __init__(self, facts: Callable[[], pb.NginxFacts], send: Send) -> None:
        self._told = Told(facts, send)

    def restart(self) -> None:
        """A new session."""
        self._told.restart()

    def report(self, docker: pb.DockerReport) -> None:
        """Tells it when anything is new."""
        alike = docker.SerializeToString(deterministic=True)
        self._told.tell(lambda: (pb.Report(docker=docker), alike))


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
        self._told.tell(lambda: (pb.Report(upstreams=report), alike.SerializeToString(deterministic=True)))
