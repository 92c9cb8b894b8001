"""Builds what an agent works with and connects it: nginx, certificates, Docker, commands, questions, reports.
May import: protos, agent.acme, agent.dns.registry, agent.nginx, agent.journal, agent.config, agent.handlers."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import __version__
from agent.acme.certificates import Certificates
from agent.acme.engine import Engine
from agent.acme.install import Installer, Places
from agent.acme.lineage import Lineages
from agent.acme.order import Authorities
from agent.acme.renewer import Doors, Renewer
from agent.acme.spec import CertificateSpec, Finding
from agent.acme.startable import Startable
from agent.acme.store import Store
from agent.acme.usage import Usage
from agent.config import AgentConfig
from agent.dns.registry import providers
from agent.handlers.certificate_reports import CertificateReporter
from agent.handlers.certificate_wire import write_providers
from agent.handlers.contents import ContentInbox
from agent.handlers.dispatch import Dispatcher
from agent.handlers.dock import Dock
from agent.handlers.drift import DriftReporter
from agent.handlers.job import Engines
from agent.handlers.questions import Questions
from agent.handlers.wire import lane, write_facts
from agent.journal import Journal
from agent.nginx.apply import Applier
from agent.nginx.drift import DriftWatch
from agent.nginx.found import find_nginx
from agent.nginx.interface import Nginx
from agent.nginx.layout import Layout
from agent.nginx.release import Releases
from agent.nginx.reload import Reloader
from agent.nginx.stage import Stager
from agent.nginx.turn import Turn
from agent.output import OutputLine
from protos import command_stream_pb2 as pb

if TYPE_CHECKING:
    from agent.acme.check import Surroundings

_log = logging.getLogger(__name__)

# What a renewal that the agent begins may take: DNS may need ten minutes, a slow authority more.
RENEWAL_SECONDS = 1800
# How often what is older than it is kept is dropped from the journal.
TIDY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Wires:
    """What leads to the panel: a message, an answer to a question, news of a command's output or result. `send` answers
    whether there was a stream to send on."""

    send: Callable[[pb.AgentMessage], bool]
    answer: Callable[[pb.CommandResult, Sequence[OutputLine]], None]
    notify: Callable[[str], None]


class Workshop:
    """All that works, and nothing that connects."""

    def __init__(self, config: AgentConfig, journal: Journal, wires: Wires, stop: threading.Event) -> None:
        layout, turn = Layout(config.nginx_dir), Turn()
        self._config, self._journal, self._wires = config, journal, wires
        self.nginx = find_nginx(config, layout)
        self._applier = Applier(config, layout, self.nginx, journal, turn=turn)
        self.inbox = ContentInbox(wires.send)
        self._store = Store(config.acme_dir)
        if self._store.quarantined:
            _log.error("what was remembered of certificates was damaged; it lies at %s", self._store.quarantined)
        reloader = Reloader(layout, self.nginx, turn)
        lineages, usage = Lineages(config.letsencrypt_dir), Usage(layout, config.letsencrypt_dir)
        self._startable = Startable(config, usage, turn, reloader.load_again)
        load, address = self._startable.load, self.nginx.address
        places = Places(lineages, self._store, usage, turn, load, config.https_port, address)
        authorities = Authorities(config.acme_dir / "accounts", layout.webroot, f"waypost/{__version__}")
        checks = _Checks(config, authorities, self._store, self.nginx)
        installer, check = Installer(places), checks.before_order
        engine = Engine(
            self._store, lineages, authorities, installer, check, layout.webroot, self._certificates_changed
        )
        self.certificates = Certificates(engine, usage.is_named)
        stager = Stager(config, layout, self.nginx)
        self._dock = Dock(config, layout, self.facts, wires.send)
        engines = Engines(self.nginx, stager, self._applier, reloader, self.certificates, self._dock, checks.look_up)
        self.dispatcher = Dispatcher(journal, engines, self.inbox, wires.notify)
        self.questions = Questions(engines, self.inbox, wires.answer, stop)
        self._drift = DriftReporter(DriftWatch(layout, self.nginx, Releases(layout)), self.facts, wires.send)
        self._applier.on_edits = self._drift.report  # the panel keeps what an apply replaces
        self._reporter = CertificateReporter(self.certificates, self.facts, wires.send)
        doors = Doors(self._begin_renewal, lambda name, task: self.dispatcher.run_beside(lane(name), task))
        self._renewer = Renewer(self.certificates, self._store, lineages, doors)
        self._tidied_at = time.monotonic()

    def start(self) -> None:
        """Settles what the last run left, and begins."""
        self.dns_providers()  # takes its second now; a Hello must come soon after its stream was opened
        self.dispatcher.start()
        self.questions.start()
        self._applier.prune()
        self._journal.prune()
        self._renewer.start()
        self._startable.start()
        self._dock.start()

    def refuse_more(self) -> None:
        """Begins nothing more."""
        self._renewer.stop()
        self.dispatcher.refuse_more()

    def stop(self, seconds: float) -> None:
        """Waits so long for what runs, and closes the files when it has ended."""
        self._renewer.stop()
        self._startable.stop()
        self._dock.stop()
        if self.dispatcher.stop(seconds):
            self._journal.close()
            self._store.close()

    def facts(self) -> pb.NginxFacts:
        """A fresh look at nginx."""
        return write_facts(self.nginx.facts())

    def dns_providers(self) -> list[pb.DnsProvider]:
        """Those that this agent can use. The first call takes about a second."""
        return write_providers(providers())

    def connected(self) -> None:
        """A new session: the panel is told everything anew."""
        self.inbox.resend()
        self._drift.restart()
        self._reporter.restart()
        self._dock.connected()

    def tick(self) -> None:
        """With every heartbeat: journals what a full disk did not take, keeps the error log small, tells of files and
        certificates that somebody changed."""
        self.dispatcher.write_results()
        self.nginx.rotate_log()
        self._drift.report()
        self._reporter.report()
        self._dock.tick()
        self._tidy()

    def _tidy(self) -> None:
        """The start of the agent does it too, but an agent runs for months."""
        if time.monotonic() - self._tidied_at < TIDY_SECONDS:
            return
        self._tidied_at = time.monotonic()
        try:
            self._journal.prune()
        except sqlite3.Error as error:
            _log.warning("the journal could not be tidied up: %s", error)

    def _certificates_changed(self) -> None:
        self._renewer.wake()
        self._reporter.report()

    def _begin_renewal(self, name: str) -> bool:
        command = pb.Command(command_id=str(uuid.uuid4()), renew_certificate=pb.RenewCertificate(name=name))
        command.run_timeout.FromSeconds(RENEWAL_SECONDS)
        return self.dispatcher.begin_own(command)


class _Checks:
    """Both checks of names; dnspython is imported with the first one, for an agent may never need it."""

    def __init__(self, config: AgentConfig, authorities: Authorities, store: Store, nginx: Nginx) -> None:
        self._config, self._authorities, self._store, self._nginx = config, authorities, store, nginx

    def before_order(self, spec: CertificateSpec) -> list[Finding]:
        """What would stand in the way of a certificate."""
        from agent.acme.check import check  # noqa: PLC0415 - dnspython

        return check(spec, self._here())

    def look_up(self, names: Sequence[str], dns_server: str, is_test: bool) -> list[Finding]:
        """Where names lead to."""
        from agent.acme.check import World, look_up  # noqa: PLC0415 - dnspython

        return look_up(names, World(dns_server, is_test), self._here())

    def _here(self) -> Surroundings:
        from agent.acme.check import Surroundings  # noqa: PLC0415 - dnspython

        return Surroundings(
            self._config,
            Layout(self._config.nginx_dir).webroot,
            self._authorities,
            issues_since=self._store.issues_since,
            failures_since=self._store.refusals_since,
            nginx_address=self._nginx.address,
        )
