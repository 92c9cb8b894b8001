"""Chapters of the story: certificates as they come, and what goes wrong in a team's life.
May import: panel.demo, panel.services, panel.models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from panel.demo import fleet, jobs, papers, surroundings
from panel.demo.fleet import FRA, IAD, SIN, Paper
from panel.demo.past import happened
from panel.demo.stage import Stage
from panel.models import Challenge, CommandKind, Role, User
from panel.services import (
    agent_jobs,
    browser_sessions,
    bundles,
    certificate_jobs,
    certificate_links,
    certificate_requests,
    certificate_uploads,
    certificates,
    commands,
    deployments,
    dns_credentials,
    drift,
    invitations,
    proxy_hosts,
)
from panel.services.agent_jobs import StartedCommand
from panel.services.browser_sessions import Visit
from panel.services.certificate_specs import CertificateSpec

Chapter = tuple[float, Callable[[datetime], None]]
FAILING = next(paper for paper in fleet.PAPERS if paper.state == "failing")


def chapters(stage: Stage) -> list[Chapter]:
    """What happened beside hosts and certificates that came, with the days since."""
    return [
        (20.4, partial(_port_in_use, stage)),
        (15.1, partial(_edit, stage, "app.acme.example", "jonas", {"forward_port": 3001})),
        (14.9, partial(_edit, stage, "app.acme.example", "priya", {"forward_port": 3000, "hsts": True})),
        (9.3, partial(_delete, stage)),
        (6.2, partial(_cancelled_reload, stage)),
        *((days, partial(_fail_renewal, stage, number)) for number, days in enumerate((2.6, 1.5, 0.3), start=1)),
        (0.9, partial(_refuse, stage)),
        (0.2, partial(_drift, stage)),
        (0.04, partial(_leave_waiting, stage)),
        (0.015, partial(_save_only, stage)),
        *((days, partial(_log_in, stage, name)) for days, name in ((0.05, "jonas"), (0.02, "priya"), (1.3, "tom"))),
        (0.6, partial(_invite, stage)),
        (0.0004, partial(_renew_now, stage)),
    ]


def bring(stage: Stage, paper: Paper, moment: datetime) -> None:
    """The certificate comes as it did: ordered, uploaded, found, or not at all."""
    if paper.source == "certbot":
        with happened(moment):
            stage.lies(paper)
            stage.observe(paper.machine, moment)
        return
    actor = stage.user(paper.actor)
    with happened(moment, actor):
        if paper.source == "upload":
            _upload(stage, paper, actor, moment)
        else:
            _order(stage, paper, actor, moment)
    if paper.is_paused:
        with happened(moment + timedelta(days=3), actor):
            certificate = certificates.pause(stage.certificate(paper), actor)
            command = certificate_jobs.find_open(certificate, CommandKind.CONFIGURE_CERTIFICATE)
            if command is not None:
                jobs.configure(command, moment + timedelta(days=3))


def _order(stage: Stage, paper: Paper, actor: User, moment: datetime) -> None:
    sites = paper.sites or paper.names[:1]
    credential = dns_credentials.list_all()[0].id if paper.source == "dns" else None
    spec = CertificateSpec(
        agent_id=stage.agent(paper.machine).id,
        domain_names=paper.names,
        authority_id=stage.authority(is_test=paper.source == "staging").id,
        challenge=Challenge.HTTP_01 if credential is None else Challenge.DNS_01,
        dns_credential_id=credential,
    )
    host = stage.host(sites[0]) if paper.state == "absent" else None
    command = certificate_requests.request(spec, actor, host=host)
    certificate = stage.certificate(paper)
    if paper.state == "absent":
        jobs.fail_issue(command, moment, certificate, papers.failure(certificate, moment, None))
        return
    ended = jobs.issue(command, moment, certificate, papers.ISSUERS[paper.source])
    stage.lies(paper)
    stage.observe(paper.machine, ended)
    for name in sites:
        certificate_links.link(stage.host(name), certificate, actor, force_ssl=True)
    stage.apply_waiting(paper.machine, ended)


def _upload(stage: Stage, paper: Paper, actor: User, moment: datetime) -> None:
    certificate_pem, chain_pem, key_pem = papers.uploaded(paper, stage.now)
    agent = stage.agent(paper.machine)
    command = certificate_uploads.upload(agent.id, certificate_pem, chain_pem, key_pem, "", actor=actor)
    ended = jobs.install(command, moment, paper.names[0])
    stage.lies(paper)
    stage.observe(paper.machine, ended)
    certificate_links.link(stage.host(paper.names[0]), stage.certificate(paper), actor, force_ssl=True)
    stage.apply_waiting(paper.machine, ended)


def _edit(stage: Stage, name: str, actor_name: str, values: dict[str, object], moment: datetime) -> None:
    actor = stage.user(actor_name)
    with happened(moment, actor):
        host = stage.host(name)
        spec = replace(proxy_hosts.spec_of(host), **values)  # type: ignore[arg-type]
        proxy_hosts.update(host, spec, actor, version=host.version)
        jobs.apply(deployments.apply(host.agent, actor, at_once=True), moment)


def _port_in_use(stage: Stage, moment: datetime) -> None:
    actor = stage.user("jonas")
    with happened(moment, actor):
        host = stage.host("tickets.northwind.example")
        proxy_hosts.update(host, replace(proxy_hosts.spec_of(host), notes="Moved to Zammad 7."), actor, version=1)
        jobs.port_in_use(deployments.apply(host.agent, actor, at_once=True), moment)
    with happened(moment + timedelta(minutes=11), actor):
        jobs.apply(deployments.apply(stage.agent(IAD), actor, at_once=True), moment + timedelta(minutes=11))


def _delete(stage: Stage, moment: datetime) -> None:
    actor = stage.user("priya")
    with happened(moment, actor):
        host = stage.host("assets.contoso.example")
        proxy_hosts.delete(host, actor)
        jobs.apply(deployments.apply(host.agent, actor, at_once=True), moment)
    with happened(moment + timedelta(minutes=3), actor):
        # The name is free then, so that it is found by its number.
        proxy_hosts.restore(proxy_hosts.get(host.id), actor)
        jobs.apply(deployments.apply(stage.agent(SIN), actor, at_once=True), moment + timedelta(minutes=3))


def _cancelled_reload(stage: Stage, moment: datetime) -> None:
    actor = stage.user("jonas")
    with happened(moment, actor):
        jobs.cancel(commands.enqueue(stage.agent(IAD), CommandKind.RELOAD, actor=actor), moment)


def _fail_renewal(stage: Stage, number: int, moment: datetime) -> None:
    """The agent tried by itself; the certificate that is there stays."""
    with happened(moment):
        agent, certificate = stage.agent(IAD), stage.certificate(FAILING)
        command = agent_jobs.adopt(agent, StartedCommand(str(uuid4()), certificate.name, moment), moment)
        why = papers.failure(certificate, moment, moment + timedelta(hours=12))
        if command is not None:
            jobs.fail_issue(command, moment, certificate, why)
        state = stage.reports[IAD][FAILING.folder]
        stage.reports[IAD][FAILING.folder] = papers.failed(state, why, moment, number)
        stage.observe(IAD, moment)


def _refuse(stage: Stage, moment: datetime) -> None:
    """A name that nginx cannot find: this host is set aside, everything else goes on."""
    actor = stage.user("priya")
    with happened(moment, actor):
        host = stage.host("reports.northwind.example")
        spec = replace(proxy_hosts.spec_of(host), forward_host="reports-backend")
        proxy_hosts.update(host, spec, actor, version=host.version)
        command = deployments.apply(host.agent, actor, at_once=True)
        ended = jobs.refuse(command, moment, host.id, 'host not found in upstream "reports-backend"', 31)
        stage.apply_waiting(IAD, ended)


def _drift(stage: Stage, moment: datetime) -> None:
    with happened(moment):
        agent, host = stage.agent(FRA), stage.host("git.acme.example")
        text = bundles.content(host.live_sha256) or ""
        with stage.voice(FRA):
            drift.report(agent, [surroundings.edit(host.live_path, text)], 0, moment)


def _leave_waiting(stage: Stage, moment: datetime) -> None:
    """Applied for an agent that is away: the job waits for it."""
    actor = stage.user("jonas")
    with happened(moment, actor):
        host = stage.host("crm.contoso.example")
        spec = replace(proxy_hosts.spec_of(host), forward_port=8081)
        proxy_hosts.update(host, spec, actor, version=host.version)
        deployments.apply(host.agent, actor, at_once=True)


def _save_only(stage: Stage, moment: datetime) -> None:
    jonas, priya = stage.user("jonas"), stage.user("priya")
    with happened(moment, jonas):
        host = stage.host("ci.acme.example")
        spec = replace(proxy_hosts.spec_of(host), forward_port=8010)
        proxy_hosts.update(host, spec, jonas, version=host.version)
    with happened(moment + timedelta(minutes=9), priya):
        site = fleet.Site(("helpdesk.acme.example",), "http://10.0.4.80:8080", FRA, 0, "priya", ("internal",))
        proxy_hosts.create(stage.spec(site), priya)


def _log_in(stage: Stage, name: str, moment: datetime) -> None:
    """Nobody has the key of this session."""
    user = stage.user(name)
    with happened(moment, user):
        browser_sessions.start(user, Visit(fleet.ADDRESSES[name], fleet.BROWSERS[name]), by="password")


def _invite(stage: Stage, moment: datetime) -> None:
    owner = stage.user("maya")
    with happened(moment, owner):
        invitations.create(Role.VIEWER, "Lena, support", 7, owner)


def _renew_now(stage: Stage, moment: datetime) -> None:
    with happened(moment):
        certificate = stage.certificate(fleet.PAPERS[0])
        started = StartedCommand(str(uuid4()), certificate.name, moment)
        command = agent_jobs.adopt(stage.agent(FRA), started, moment)
        if command is not None:
            jobs.begin_renewal(command, moment, certificate)
