"""Where the story stands: who and what there is by name, what each agent would report, and what waits to be applied.
May import: panel.demo, panel.services, panel.models, panel.extensions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import select, update

from panel.demo import fleet, jobs, papers
from panel.demo.fleet import Paper, Site
from panel.extensions import db
from panel.models import AcmeAuthority, Agent, Certificate, CommandKind, CommandState, Notification, ProxyHost, User
from panel.services import accounts, agents, certificate_reports, commands, context, deployments, notifications
from panel.services.certificate_states import CertificateState
from panel.services.proxy_hosts import ProxyHostSpec


class Stage:
    """Everything is read anew: each chapter has transactions of its own."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.reports: dict[int, dict[str, CertificateState]] = defaultdict(dict)

    def user(self, name: str) -> User:
        """Somebody of the team."""
        return accounts.get(name)

    def agent(self, machine: int) -> Agent:
        """The agent of a machine."""
        return agents.find_by_name(fleet.MACHINES[machine].name)

    def host(self, name: str) -> ProxyHost:
        """The host whose first name this is."""
        first = ProxyHost.domain_names[0].as_string()
        return db.session.scalars(select(ProxyHost).where(first == name, ProxyHost.deleted_at.is_(None))).one()

    def certificate(self, paper: Paper) -> Certificate:
        """The row of a certificate."""
        wanted = (Certificate.agent_id == self.agent(paper.machine).id, Certificate.name == paper.folder)
        return db.session.scalars(select(Certificate).where(*wanted)).one()

    def authority(self, *, is_test: bool) -> AcmeAuthority:
        """Let's Encrypt, or its staging."""
        name = "Let's Encrypt (staging)" if is_test else "Let's Encrypt"
        wanted = select(AcmeAuthority).where(AcmeAuthority.name.startswith("Let's Encrypt"), AcmeAuthority.is_builtin)
        found = db.session.scalars(wanted.where(AcmeAuthority.is_test == is_test).order_by(AcmeAuthority.id)).first()
        if found is None:
            raise LookupError(f"There is no authority {name}.")
        return found

    def spec(self, site: Site) -> ProxyHostSpec:
        """The host as a person would have entered it."""
        parts = urlsplit(site.upstream)
        return ProxyHostSpec(
            agent_id=self.agent(site.machine).id,
            domain_names=site.names,
            forward_scheme=parts.scheme,
            forward_host=parts.hostname or "",
            forward_port=parts.port or 80,
            notes=site.notes,
            tags=site.tags,
        )

    def live_hosts(self, agent: Agent) -> list[ProxyHost]:
        """What nginx serves there as it is saved."""
        query = select(ProxyHost).where(ProxyHost.agent_id == agent.id, ProxyHost.live_sha256 != "")
        return [host for host in db.session.scalars(query) if not host.has_unapplied_changes]

    def lies(self, paper: Paper) -> CertificateState:
        """Puts the certificate on the machine's disk; returns what is reported of it."""
        authority = self.authority(is_test=paper.source == "staging")
        state = papers.state(paper, self.now, authority.directory_url)
        self.reports[paper.machine][paper.folder] = state
        return state

    def observe(self, machine: int, moment: datetime) -> None:
        """The agent reports all that lies on its disk."""
        agent, states = self.agent(machine), list(self.reports[machine].values())
        with self.voice(machine):
            certificate_reports.observe(agent, states, papers.FOLDER, "", moment)

    @contextmanager
    def voice(self, machine: int) -> Iterator[None]:
        """What is recorded within comes from the agent."""
        with context.coming_from(f"{context.AGENT}{self.agent(machine).id}"):
            yield

    def apply_waiting(self, machine: int, moment: datetime) -> None:
        """Ends the applies that services asked for on the way."""
        agent = self.agent(machine)
        while command := commands.find_open(agent.id, CommandKind.APPLY_CONFIG, CommandState.QUEUED):
            moment = jobs.apply(command, moment) + timedelta(seconds=1)

    def apply_all(self, machine: int, moment: datetime) -> None:
        """Everything that is saved becomes live."""
        deployments.apply(self.agent(machine), self.user("maya"), at_once=True)
        self.apply_waiting(machine, moment)

    def settle_news(self) -> None:
        """What the clock would tell is told, and all of it counts as sent: nobody is written to."""
        notifications.expiring(self.now)
        db.session.flush()
        sent = {"sent_at": Notification.created_at, "attempts": 1, "next_attempt_at": None}
        db.session.execute(update(Notification).values(**sent), execution_options={"synchronize_session": False})
