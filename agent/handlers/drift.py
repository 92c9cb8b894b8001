"""Tells the panel of files that somebody else has changed: all of it in each session, then whenever it differs.
May import: protos, agent.nginx."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from agent.nginx.drift import Drift, DriftedFile, DriftWatch
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

_KINDS = {"changed": pb.DriftedFile.CHANGED, "missing": pb.DriftedFile.MISSING, "added": pb.DriftedFile.ADDED}


class DriftReporter:
    """Thread-safe: the session's loop looks with every heartbeat, an apply before it replaces files."""

    def __init__(
        self, watch: DriftWatch, facts: Callable[[], pb.NginxFacts], send: Callable[[pb.AgentMessage], bool]
    ) -> None:
        """`send` answers whether there was a stream to send on."""
        self._watch = watch
        self._facts = facts
        self._send = send
        self._told: Drift | None = None
        self._lock = threading.Lock()

    def restart(self) -> None:
        """A new session: the panel is told everything anew."""
        with self._lock:
            self._told = None

    def report(self) -> None:
        """Looks, and tells what is new."""
        with self._lock:
            try:
                drift = self._watch.look()
            except OSError as error:
                _log.warning("the files of the current release could not be looked at: %s", error)
                return
            if drift == self._told:
                return
            report = pb.Report(nginx=self._facts(), drift=write_drift(drift))
            if self._send(pb.AgentMessage(report=report)):
                self._told = drift


def write_drift(drift: Drift) -> pb.Drift:
    """For the wire."""
    return pb.Drift(files=[_write_file(file) for file in drift.files], more=drift.more)


def _write_file(file: DriftedFile) -> pb.DriftedFile:
    return pb.DriftedFile(
        path=file.path,
        kind=_KINDS[file.kind],
        sha256=file.sha256,
        text=file.text,
        original=file.original,
        truncated=file.truncated,
        loaded=file.loaded,
    )
