"""Tells the story of a team through the services, oldest day first: people, agents, hosts, certificates, troubles.
May import: panel.demo, panel.services, panel.pki, panel.models, panel.extensions, panel.config."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from panel.config import Config
from panel.demo import fleet, jobs, surroundings, troubles
from panel.demo.fleet import FRA, IAD, Machine, Paper, Site
from panel.demo.past import happened
from panel.demo.stage import Stage
from panel.errors import Conflict
from panel.extensions import db, transaction
from panel.models import Certificate, ProxyHost, Role, User
from panel.models.types import utcnow
from panel.pki import open_authority
from panel.services import (
    accounts,
    agents,
    builtin_authorities,
    channels,
    checklist,
    context,
    deployments,
    dns_credentials,
    docker_reports,
    enrollments,
    events,
    proxy_hosts,
    sessions,
    setup_links,
    user_credentials,
)
from panel.services.dns_credentials import CredentialSpec
from panel.services.proxy_hosts import ProxyHostSpec
from panel.services.sessions import AgentFacts, NginxFacts
from panel.services.user_credentials import Credentials

SET_UP = 74  # days ago
MORE_SINCE = 10  # days ago; few applies come after it
AT_ONCE = 200  # hosts in one transaction
SENTENCE = "Everything in this panel until now is a demo: people, agents, hosts, certificates, jobs and history."

Chapter = tuple[float, Callable[[datetime], None]]


def check_fresh() -> None:
    """Raises Conflict when somebody uses this panel: a demo must never mix with what is real."""
    for model, noun in ((User, "people"), (ProxyHost, "hosts"), (Certificate, "certificates")):
        if db.session.scalar(select(func.count()).select_from(model)):
            raise Conflict(f"This panel has {noun} already. The demo is only for a fresh one: give it another state.")


def seed(password: str, config: Config, *, hosts: int = len(fleet.SITES)) -> str:
    """Fills a fresh panel and returns a sentence about it. `hosts`: further ones are made when it is more than usual.

    Raises Conflict on a panel that is not fresh, Invalid for a password that is none.
    """
    check_fresh()
    credentials = [(user_credentials.prepare(name, password), role) for name, role in fleet.PEOPLE]
    now = utcnow()
    stage = Stage(now)
    story: list[Chapter] = [
        (SET_UP, partial(_set_up, stage, credentials, config)),
        (SET_UP - 0.3, partial(_prepare, stage, config)),
        *_sites(stage),
        (MORE_SINCE, partial(_add_more, stage, hosts - len(fleet.SITES))),
        *troubles.chapters(stage),
    ]
    for days, tell in sorted(story, key=lambda chapter: -chapter[0]):
        tell(now - timedelta(days=days))
    _report_now(stage)
    with context.coming_from(context.COMMAND_LINE), transaction():
        online = [stage.agent(number).id for number, one in enumerate(fleet.MACHINES) if one.is_online]
        events.record(None, "panel", "demo", 0, "demo", after={"what": SENTENCE, "online": online})
    setup_links.forget(config)
    return SENTENCE


def _set_up(stage: Stage, credentials: list[tuple[Credentials, Role]], config: Config, moment: datetime) -> None:
    with happened(moment, origin=context.COMMAND_LINE):
        builtin_authorities.ensure(config)
        owner = accounts.create_user(credentials[0][0], credentials[0][1])
    for known, role in credentials[1:]:
        with happened(moment + timedelta(hours=2), stage.user(owner.username)):
            accounts.create_user(known, role, stage.user(owner.username))
    authority = open_authority(config.pki_dir, utcnow())
    for machine in fleet.MACHINES:
        owner = stage.user("maya")
        with happened(moment + timedelta(hours=3), owner):
            _, token = agents.create(machine.name, owner, config)
            joined = enrollments.enroll(token.split(".")[1], _request(), machine.hostname, authority, utcnow())
            sessions.connected(joined.agent_id, _facts(machine), moment)


def _prepare(stage: Stage, config: Config, moment: datetime) -> None:
    owner = stage.user("maya")
    with happened(moment, owner):
        dns_credentials.create(CredentialSpec("Cloudflare acme.example", "cloudflare", {"token": "demo"}), owner)
        # A name that leads nowhere, by RFC 2606: nothing of a demo reaches anybody.
        hook = {"url": "jsons://hooks.acme.invalid/waypost"}
        channels.create("Team chat", "apprise", hook, owner, config)
        checklist.set_hidden(owner, is_hidden=True)


def _sites(stage: Stage) -> list[Chapter]:
    """For each day and machine the hosts that were made then, and their apply; then the certificates, each in time."""
    found: list[Chapter] = []
    ordered = sorted(fleet.SITES, key=lambda site: (-site.days, site.machine))
    for (days, machine), sites in groupby(ordered, key=lambda site: (site.days, site.machine)):
        found.append((days + machine / 50, partial(_create, stage, machine, list(sites))))
    papers = ((_issued_days_ago(paper), partial(troubles.bring, stage, paper)) for paper in fleet.PAPERS)
    return [*found, *papers]


def _issued_days_ago(paper: Paper) -> float:
    if paper.state == "absent":
        return 2.2
    return min(paper.lifetime - paper.left - 0.22, 54.5)  # what was uploaded or found is older than the panel


def _create(stage: Stage, machine: int, sites: list[Site], moment: datetime) -> None:
    agent = stage.agent(machine)
    for number, site in enumerate(sites):
        actor = stage.user(site.actor)
        with happened(moment + timedelta(minutes=4 * number), actor):
            host = proxy_hosts.create(stage.spec(site), actor)
            if not site.is_enabled:
                proxy_hosts.set_enabled(host, False, actor)
            if number == len(sites) - 1:
                command = deployments.apply(agent, actor, at_once=True)
                jobs.apply(command, moment + timedelta(minutes=4 * number, seconds=3))


def _add_more(stage: Stage, count: int, moment: datetime) -> None:
    """Many hosts for measures, on the two agents that are there."""
    for start in range(0, max(0, count), AT_ONCE):
        with happened(moment, stage.user("maya")):
            for number in range(start, min(start + AT_ONCE, count)):
                agent = stage.agent((FRA, IAD)[number % 2])
                names, port = (f"site-{number:04d}.customers.example",), 3000 + number % 5000
                proxy_hosts.create(ProxyHostSpec(agent.id, names, "http", "10.9.0.4", port), stage.user("maya"))
    for machine in (FRA, IAD) if count > 0 else ():
        with happened(moment + timedelta(hours=1), stage.user("maya")):
            stage.apply_all(machine, moment + timedelta(hours=1))


def _report_now(stage: Stage) -> None:
    """The last reports: certificates, Docker, upstreams; and who is there."""
    for number, machine in enumerate(fleet.MACHINES):
        now = stage.now if machine.is_online else stage.now - timedelta(hours=3, minutes=12)
        with happened(now):
            agent = stage.agent(number)
            stage.observe(number, now)
            refused = frozenset({"10.0.4.31:8080"})
            docker_reports.observe_upstreams(agent, surroundings.health(stage.live_hosts(agent), refused, now), now)
            if number == FRA:
                with stage.voice(number):
                    docker_reports.observe(agent, surroundings.docker(), now)
            agent.last_seen_at = agent.connected_at = now
            agent.is_connected = agent.is_synced = machine.is_online
    with transaction():
        stage.settle_news()


def _facts(machine: Machine) -> AgentFacts:
    modules = ("http_v2", "http_ssl", "stream", "http_realip", "http_gzip_static")
    nginx = NginxFacts(
        version=machine.nginx_version,
        http_port=80,
        https_port=443,
        running=True,
        applied_revision="",
        modules=modules,
        problem="",
        ipv6=True,
    )
    return AgentFacts("0.1.0", 1, f"demo-{machine.name}", machine.hostname, machine.os, nginx, (fleet.CLOUDFLARE,))


def _request() -> bytes:
    """What a joining agent sends; nobody keeps this key."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)
