"""Tells the panel of files that somebody else has changed: all of it in each session, then whenever it differs.
May import: protos, agent.handlers.told, agent.nginx."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.handlers.told import Send, Told
from agent.nginx.drift import Drift, DriftedFile, DriftWatch
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

_KINDS = {"changed": pb.DriftedFile.CHANGED, "missing": pb.DriftedFile.MISSING, "added": pb.DriftedFile.ADDED}


class DriftReporter:
    """Thread-safe: the session's loop looks with every heartbeat, an apply before it replaces files."""

    def __init__(self, watch: DriftWatch, facts: Callable[[], pb.NginxFacts], send: Send) -> None:
        """`send` answers whether there was a stream to send on."""
        self._watch = watch
        self._told = Told(facts, send)

    def restart(self) -> None:
        """A new session: the panel is told everything anew."""
        self._told.restart()

    def report(self) -> None:
        """Looks, and tells what is new."""
        self._told.tell(self._look)

    def _look(self) -> tuple[pb.Report, bytes] | None:
        try:
            drift = write_drift(self._watch.look())
        except OSError as error:
            _log.warning("the files of the current release could not be looked at: %s", error)
            return None
        return pb.Report(drift=drift), drift.SerializeToString(deterministic=True)


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
