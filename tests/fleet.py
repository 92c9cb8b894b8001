"""A panel with something of everything in it: hosts, certificates, agents, jobs and people in every state.
May import: panel, tests.{hosts,certificates,docking,product}."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import func, select

from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandOutput, Notification, ProxyHost, Role, User
from panel.models.types import utcnow
from panel.services import channels, dns_credentials, drift, invitations, proxy_hosts, second_factors
from panel.services.dns_credentials import CredentialSpec
from panel.services.drift import Edit
from tests.certificates import FAILURE, HOSTILE, PROVIDERS, add_authority, add_certificate, add_wish
from tests.docking import container, network, report, tell, tell_upstreams, upstream
from tests.hosts import add_host, make_live, set_aside
from tests.person import PASSWORD
from tests.product import Product

LONG = "a-very-long-name-that-somebody-chose.for-a-service-of-the-third-floor.example.com"
Line = tuple[str, str, str]  # stage, level, text
APPLY: list[Line] = [
    ("fetch", "stage", "Fetch files"),
    ("test", "stage", "Test"),
    ("test", "warning", "duplicate MIME type"),
    ("test", "ok", "test is successful"),
    ("switch", "stage", "Switch"),
    ("reload", "stage", "Reload"),
]
ORDER: list[Line] = [
    ("check", "stage", "Looking"),
    ("order", "stage", "Ordering"),
    ("challenge", "stage", "Placing"),
    ("challenge", "record", "_acme-challenge.app.example.com TXT 0123456789abcdef"),
    ("validation", "stage", "Validation"),
    ("validation", "error", f"Refused {HOSTILE}"),
]
FINDINGS = [
    {
        "level": level,
        "check": "address",
        "subject": "app.example.com",
        "sentence": f"It is {level}.",
        "next_step": "Mend it.",
        "record": "app.example.com A 203.0.113.5",
        "cause": "",
    }
    for level in ("ok", "info", "warning", "error")
]
REFUSED = {"path": "hosts/2-shop.example.com.conf", "line": 14, "text": 'invalid port in upstream "10.0.0.4:99999"'}


@dataclass(frozen=True)
class Fleet:
    """What was made, by name: the parts of addresses."""

    app: Flask
    ids: dict[str, str]

    def fill(self, address: str) -> str:
        """The address with its names replaced."""
        return address.format_map(self.ids)


def stock(product: Product) -> Fleet:
    """Fills the panel of a running product, through its own services, beside the agent that it has already."""
    app = create_app(Config.from_env({"PANEL_STATE_DIR": str(product.state / "panel")}))
    ids: dict[str, str] = {}
    with app.app_context():
        local = db.session.scalars(select(Agent)).one()
        ids |= _agents() | _people()
        edge = db.session.get_one(Agent, ids["edge"])
        ids["local"] = local.id
        ids |= {name: str(number) for name, number in _certificates(app, edge).items()}
        ids |= {name: str(number) for name, number in _hosts(app, edge, ids).items()}
        _docker(edge)
        _news(app, ids)
        ids |= _jobs(edge, ids)
        db.session.remove()
    return Fleet(app, ids)


def _agents() -> dict[str, str]:
    """One that looks as if it were online for a day, one that is gone, one that never came, one that was shut out."""
    now, facts = utcnow(), {"nginx_version": "1.27.3", "http_port": 80, "https_port": 443, "has_ipv6": True}
    told = {"joined_at": now, "hostname": "edge-1.example.com", "os": "Debian 12", "version": "0.1.0", **facts}
    here = {"is_connected": True, "is_synced": True, "last_seen_at": now + timedelta(days=1), "nginx_running": True}
    told["letsencrypt_dir"] = "/etc/letsencrypt"
    made = {
        "edge": Agent(id=str(uuid4()), name="edge", **told, **here),
        "attic": Agent(id=str(uuid4()), name="attic", last_seen_at=now - timedelta(days=3), **told),
        "newcomer": Agent(id=str(uuid4()), name="newcomer"),
        "former": Agent(id=str(uuid4()), name="former", revoked_at=now, **told),
    }
    with transaction():
        made["attic"].nginx_problem = "nginx is not running: bind() to 0.0.0.0:80 failed."
        made["attic"].certificates_problem = "The folder of certificates cannot be written."
        db.session.add_all(made.values())
        return {name: agent.id for name, agent in made.items()}


def _people() -> dict[str, str]:
    """An operator, a viewer, one who is shut out and one with a second factor; and an open invitation."""
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with transaction():
        people = {
            "bob": User(username="bob", password_hash=hashed, role=Role.OPERATOR),
            "charlie": User(username="charlie", password_hash=hashed, role=Role.VIEWER),
            "dora": User(username="dora", password_hash=hashed, role=Role.VIEWER, disabled_at=utcnow()),
            "eve": User(username="eve", password_hash=hashed, role=Role.VIEWER),
        }
        second_factors.begin(people["eve"])
        people["eve"].totp_since = utcnow()
        db.session.add_all(people.values())
        invitation, secret = invitations.create(Role.OPERATOR, "Maya from the shop", 1, None)
        db.session.flush()
        found = {name: str(person.id) for name, person in people.items()}
    return {**found, "invitation": str(invitation.id), "invitation_secret": secret}


def _certificates(app: Flask, agent: Agent) -> dict[str, int]:
    """One of each kind, and where they come from."""
    staging = "https://staging.example.com/directory"
    authority = add_authority(app, is_default=True, staging_directory_url=staging)
    add_authority(app, "Second CA")
    now = utcnow()
    by: dict[str, Any] = {"authority_id": authority}
    made = {
        "good": add_certificate(app, agent, "app.example.com", "www.example.com", **by),
        "due": add_certificate(app, agent, "due.example.com", left=6, **by),
        "over": add_certificate(app, agent, "over.example.com", left=-2, **by),
        "failing": add_certificate(app, agent, LONG, left=9, failures=3, last_failure=FAILURE, **by),
        "paused": add_certificate(app, agent, "paused.example.com", is_paused=True, **by),
        "wish": add_wish(app, agent, "wish.example.com", **by),
        "revoked": add_certificate(app, agent, "revoked.example.com", revoked_at=now, **by),
        "uploaded": add_certificate(app, agent, "own.example.com", source="upload"),
        "certbots": add_certificate(app, agent, "bot.example.com", source="certbot"),
    }
    with transaction():
        agent.dns_providers = PROVIDERS
        spec = CredentialSpec("Zone of the shop", "cloudflare", {"token": "s3cr3t-token"})
        credential = dns_credentials.create(spec, None).id
    by_dns: dict[str, Any] = {"challenge": "dns-01", "dns_credential_id": credential}
    made["wildcard"] = add_certificate(app, agent, "*.example.com", **by_dns, **by)
    return {**made, "authority": authority, "credential": credential}


def _hosts(app: Flask, agent: Agent, ids: dict[str, str]) -> dict[str, int]:
    """More than a page of them: live, with HTTPS, refused, switched off, saved only, of a long name."""
    made = {
        "app": add_host(app, agent, "app.example.com", "www.example.com"),
        "shop": add_host(app, agent, "shop.example.com", host="shop"),
        "long": add_host(app, agent, LONG, "*.example.com", host="upstream." + LONG),
        "off": add_host(app, agent, "off.example.com"),
    }
    for number in range(24):
        add_host(app, agent, f"site-{number:02}.example.com", host=f"10.0.1.{number}")
    with transaction():
        db.session.get_one(ProxyHost, made["app"]).certificate_id = int(ids["good"])
        db.session.get_one(ProxyHost, made["app"]).force_ssl = True
        db.session.get_one(ProxyHost, made["long"]).certificate_id = int(ids["failing"])
        db.session.get_one(ProxyHost, made["off"]).is_enabled = False
    make_live(app, agent)
    set_aside(app, made["shop"])
    made["saved"] = add_host(app, agent, "saved.example.com")
    made["gone"] = add_host(app, agent, "gone.example.com")
    with transaction():
        proxy_hosts.delete(proxy_hosts.get(made["gone"]), None)
        known = db.session.get_one(Agent, agent.id)
        known.last_seen_at = utcnow() + timedelta(days=1)
        known.apply_error = "nginx refused a host."
    return made


def _docker(agent: Agent) -> None:
    """Networks and containers in several states, upstreams that answer and that do not, a file changed by hand."""
    labels = {"waypost.host": "label.example.com", "waypost.port": "8080"}
    networks = [
        network("front", "shop", attached=True, wanted=True),
        network("back", "app"),
        network("lost", wanted=True, missing=True),
        network("found", attached=True),
        network("none", attach_refusal="Containers cannot be added to it."),
    ]
    containers = [
        container("shop", "front", health="healthy", ports=[(8080, 0)]),
        container("app", "back", ports=[(3000, 3000)]),
        container("label", "front", labels=labels, ports=[(8080, 0)]),
        container("ill", "front", health="unhealthy"),
        container("ended", state="exited"),
    ]
    tell(agent, report(networks, containers))
    tell_upstreams(agent, upstream("10.0.0.5", 3000), upstream("shop", 3000, "refused"))
    edit = Edit(
        "hosts/1-app.example.com.conf", "changed", "", "evil <b>text</b>\n", "", is_truncated=False, is_loaded=False
    )
    with transaction():
        drift.report(db.session.get_one(Agent, agent.id), [edit], 0, utcnow())
        attic = db.session.scalars(select(Agent).filter_by(name="attic")).one()
        drift.report(attic, [edit], 0, utcnow())
    with transaction():
        drift.report(attic, [], 0, utcnow())


def _news(app: Flask, ids: dict[str, str]) -> None:
    with transaction():
        channel = channels.create("News", "apprise", {"url": "jsons://127.0.0.1:9"}, None, app.config["WAYPOST"])
        channel.is_enabled = False  # nothing is sent
        ids["channel"] = str(channel.id)
        told = {"subject": "A certificate failed", "text": "It failed three times.", "url": "/certificates/1"}
        for level, error in (("error", "Nobody answered."), ("ok", "")):
            row = Notification(channel_id=channel.id, key=f"test:{level}", level=level, error=error, **told)
            row.sent_at = None if error else utcnow()
            db.session.add(row)


def _jobs(agent: Agent, ids: dict[str, str]) -> dict[str, str]:
    """Jobs that wait, run, succeeded, failed for each kind of reason, and were cancelled."""
    failed: dict[str, Any] = {"reason": "FAILED", "error": "nginx -t failed."}
    about = {"certificate_id": int(ids["failing"]), "resource": f"acme:{LONG}"}
    nobody_knows = {"reason": "INTERRUPTED", "outcome_known": False}
    doubt = {"needs_confirmation": True, "findings": FINDINGS}
    return {
        "queued": _job(agent, "reload", "queued"),
        "running": _job(agent, "apply_config", "running", APPLY),
        "succeeded": _job(agent, "apply_config", "succeeded", APPLY, result={"revision": "8f3ab2c1" * 8}),
        "cancelled": _job(agent, "reload", "cancelled"),
        "expired": _job(agent, "reload", "expired"),
        "refused": _job(agent, "apply_config", "failed", APPLY, result={"file_errors": [REFUSED]}, **failed),
        "degraded": _job(agent, "apply_config", "failed", APPLY, result={"degraded": True}, **failed),
        "unknown": _job(agent, "apply_config", "failed", APPLY, **nobody_knows),
        "no_order": _job(agent, "issue_certificate", "failed", ORDER, result={"failure": FAILURE}, **about, **failed),
        "doubt": _job(agent, "issue_certificate", "failed", ORDER[:1], result=doubt, **about, **failed),
        "ordering": _job(agent, "issue_certificate", "running", ORDER[:4], **about),
        "checked": _job(agent, "check_names", "succeeded", ORDER[:1], result={"findings": FINDINGS}),
    }


def _job(agent: Agent, kind: str, state: str, lines: Sequence[Line] = (), **values: Any) -> str:
    """Stores a job with output, one line each second; its id."""
    began = utcnow() - timedelta(minutes=5)
    with transaction():
        last = db.session.scalar(select(func.max(Command.seq))) or 0
        job = Command(id=str(uuid4()), agent_id=agent.id, seq=last + 1, kind=kind, state=state, created_at=began)
        job.expires_at, job.run_timeout = began + timedelta(days=30), 30 * 86_400.0
        job.started_at = began if lines else None
        job.finished_at = None if state in {"queued", "running"} else began + timedelta(seconds=len(lines))
        job.last_output_seq = len(lines)
        for name, value in values.items():
            setattr(job, name, value)
        db.session.add(job)
        db.session.flush()
        for seq, (stage, level, text) in enumerate(lines, 1):
            at = began + timedelta(seconds=seq)
            row = CommandOutput(command_id=job.id, seq=seq, at=at, stage=stage, level=level, text=text)
            db.session.add(row)
        return job.id
