"""Tells the panel of the certificates on this machine: all of them in each session, then whenever something differs.
May import: protos, agent.acme, agent.handlers.certificate_wire."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

from agent.acme.certificates import Certificates
from agent.handlers.certificate_wire import write_state
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)


class CertificateReporter:
    """Thread-safe: the session's loop looks with every heartbeat, so that files which somebody else changed are told
    of, and a command tells at once what it changed."""

    def __init__(
        self,
        certificates: Certificates,
        facts: Callable[[], pb.NginxFacts],
        send: Callable[[pb.AgentMessage], bool],
    ) -> None:
        """`send` answers whether there was a stream to send on."""
        self._certificates = certificates
        self._facts = facts
        self._send = send
        self._told: bytes | None = None
        self._lock = threading.Lock()

    def restart(self) -> None:
        """A new session: the panel is told everything anew."""
        with self._lock:
            self._told = None

    def report(self) -> None:
        """Looks, and tells all of it when anything is new."""
        with self._lock:
            try:
                found = self._look()
            except (OSError, sqlite3.Error) as error:
                _log.warning("the certificates could not be looked at: %s", error)
                return
            digest = found.SerializeToString(deterministic=True)
            if digest == self._told:
                return
            report = pb.Report(nginx=self._facts(), certificates=found)
            if self._send(pb.AgentMessage(report=report)):
                self._told = digest

    def _look(self) -> pb.CertificateReport:
        certificates = self._certificates
        return pb.CertificateReport(
            certificates=[write_state(status) for status in certificates.statuses()],
            letsencrypt_dir=str(certificates.folder),
            problem=certificates.folder_problem(),
        )
