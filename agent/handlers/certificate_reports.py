"""Tells the panel of the certificates on this machine: all of them in each session, then whenever something differs.
May import: protos, agent.acme, agent.handlers.{certificate_wire,told}."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from agent.acme.certificates import Certificates
from agent.handlers.certificate_wire import write_state
from agent.handlers.told import Send, Told
from protos import command_stream_pb2 as pb

_log = logging.getLogger(__name__)

# Bytes. A message has at most 1 MiB: a larger one would end this stream and each one after it.
ROOM = 900_000


class CertificateReporter:
    """Thread-safe: the session's loop looks with every heartbeat, so that files which somebody else changed are told
    of, and a command tells at once what it changed."""

    def __init__(self, certificates: Certificates, facts: Callable[[], pb.NginxFacts], send: Send) -> None:
        """`send` answers whether there was a stream to send on."""
        self._certificates = certificates
        self._told = Told(facts, send)

    def restart(self) -> None:
        """A new session: the panel is told everything anew."""
        self._told.restart()

    def report(self) -> None:
        """Looks, and tells all of it when anything is new."""
        self._told.tell(self._look)

    def _look(self) -> tuple[pb.Report, bytes] | None:
        try:
            found = self._describe()
        except (OSError, sqlite3.Error) as error:
            _log.warning("the certificates could not be looked at: %s", error)
            return None
        return pb.Report(certificates=found), found.SerializeToString(deterministic=True)

    def _describe(self) -> pb.CertificateReport:
        certificates = self._certificates
        report = pb.CertificateReport(
            certificates=[write_state(status) for status in certificates.statuses()],
            letsencrypt_dir=str(certificates.folder),
            problem=certificates.folder_problem(),
        )
        return report if report.ByteSize() <= ROOM else _shortened(report)


def _shortened(report: pb.CertificateReport) -> pb.CertificateReport:
    """Without the authorities' own words, which each job has too: none of the certificates may be left out."""
    for state in report.certificates:
        if state.HasField("last_failure"):
            state.last_failure.ClearField("detail")
    return report
