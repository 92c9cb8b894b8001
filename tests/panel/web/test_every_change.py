"""Every address that changes something leaves an entry in the audit log: who, from where, in words, without secrets.
May import: panel and the fixtures of tests. A new address stands in FORMS or, with the reason, in NO_CHANGE."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from panel import totp
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Command, Event, Identity, Role, User
from panel.models.types import utcnow
from panel.pki import open_authority
from panel.services import (
    accounts,
    audit,
    browser_sessions,
    bulk,
    certificates,
    channels,
    checklist,
    context,
    deployments,
    events,
    invitations,
    proxy_hosts,
    second_factors,
    setup_links,
)
from panel.services.browser_sessions import Visit
from panel.web.audit import words
from tests.certificates import add_authority, add_certificate, add_credential
from tests.conftest import PASSWORD, PASSWORD_HASH, login, store
from tests.docking import container, network, report, tell
from tests.hosts import add_host, make_live
from tests.panel.services.pems import leaf
from tests.routes import ROUTES

Values = dict[str, Any]
Prepare = Callable[[Flask, FlaskClient, Values], None]

SECRETS = (
    "s3cr3t-token",
    "an0ther-token",
    "pr1vate-user",
    "n3w-words-in-a-row",
    "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
    PASSWORD,
)
ADDRESS = "203.0.113.9"

NO_CHANGE = {
    "/account/identities": "only leads on to the provider",
    "/account/second-factor": "nothing counts before the first code",
    "/agents/<agent_id>/check": "a question; its job is kept",
    "/certificates/check": "a question; its job is kept",
    "/hosts/<int:host_id>/check-upstream": "a question; its job is kept",
    "/hosts/check-field": "saves nothing",
    "/hosts/check-names": "a question of a form",
    "/hosts/check-upstream": "a question of a form",
    "/hosts/<int:host_id>/test": "a test; its job is kept",
    "/hosts/preview": "saves nothing",
    "/hosts/test": "a test; its job is kept",
    "/settings/dns/<int:credential_id>/test": "a question; its job is kept",
    "/settings/notifications/<int:channel_id>/test": "a test message, which the list of messages keeps",
    "/setup": "below, where nobody is there yet",
    "/language": "a cookie",
    "/theme": "a cookie",
}


def form_of_host(v: Values) -> dict[str, Any]:
    upstream = {"forward_scheme": "http", "forward_host": "10.0.0.9", "forward_port": "81", "agent_id": v["agent_id"]}
    return upstream | {"domain_names": f"new.{v['name']}.example.com", "is_enabled": "y", "version": "1"}


def form_of_certificate(v: Values) -> dict[str, Any]:
    who = {"authority_id": str(v["authority_id"]), "agent_id": v["agent_id"]}
    return who | {"domain_names": f"c.{v['name']}.example.com", "challenge": "http-01", "key_type": "rsa-2048"}


def form_of_upload(v: Values) -> dict[str, Any]:
    made = leaf(f"{v['name']}.example.com")
    return {"certificate_pem": made.pem, "key_pem": made.key_pem, "agent_id": v["agent_id"]}


def form_of_authority(v: Values) -> dict[str, Any]:
    url = f"https://new.{v['name']}.example.com/directory"
    return {"name": f"New {v['name']}", "directory_url": url, "eab_kid": "kid", "eab_key": SECRETS[4]}


def query_of_bulk_undo(v: Values) -> str:
    return f"?first={v['event_id']}&last={v['event_id']}"


def nothing(_values: Values) -> dict[str, Any]:
    return {}


# What a browser posts to each of the others. Prepared before, where the object must stand otherwise.
FORMS: dict[str, Callable[[Values], dict[str, Any]]] = {
    "/account": lambda _: {"current": PASSWORD, "password": SECRETS[3], "repeat": SECRETS[3]},
    "/account/second-factor/confirm": lambda v: {"code": v["code"]},
    "/account/second-factor/recovery-codes": lambda _: {"current": PASSWORD},
    "/account/second-factor/turn-off": lambda _: {"current": PASSWORD},
    "/agents/<agent_id>/healing": lambda _: {"heal": "y"},
    "/agents/<agent_id>/labels": lambda _: {"trust": "y"},
    "/agents/new": lambda v: {"name": f"new-{v['name']}"},
    "/certificates/<int:certificate_id>/edit": form_of_certificate,
    "/certificates/<int:certificate_id>/replace": form_of_upload,
    "/certificates/<int:certificate_id>/revoke": lambda v: {"phrase": f"revoke {v['name']}.example.com", "reason": "0"},
    "/certificates/<int:certificate_id>/take-over": form_of_certificate,
    "/certificates/<int:certificate_id>/use": lambda v: {"host": str(v["host_id"])},
    "/certificates/bulk": lambda v: {
        "action": "renew",
        "certificate": str(v["certificate_id"]),
        "confirmed": "y",
        "count": "1",
    },
    "/certificates/new": form_of_certificate,
    "/certificates/upload": form_of_upload,
    "/containers/accept": lambda v: {"agent": v["agent_id"], "container": "id-of-app"},
    "/hosts/<int:host_id>/edit": form_of_host,
    "/hosts/<int:host_id>/quick": form_of_host,
    "/hosts/bulk": lambda v: {"action": "disable", "host": str(v["host_id"])},
    "/hosts/new": form_of_host,
    "/invite": lambda v: {
        "token": v["token"],
        "username": f"i-{v['name']}",
        "password": SECRETS[3],
        "repeat": SECRETS[3],
    },
    "/login": lambda v: {"username": v["name"], "password": "a wrong password"},
    "/login/code": lambda _: {"code": "000000"},
    "/networks/attach": lambda v: {"agent": v["agent_id"], "network": "back"},
    "/networks/detach": lambda v: {"agent": v["agent_id"], "network": "front"},
    "/settings/authorities/<int:authority_id>": form_of_authority,
    "/settings/authorities/fallbacks": lambda v: {f"position-{v['authority_id']}": "1"},
    "/settings/authorities/new": form_of_authority,
    "/settings/dns/<int:credential_id>": lambda v: {"name": f"dns-{v['name']}", "values.token": SECRETS[1]},
    "/settings/dns/new": lambda v: {"name": f"new-{v['name']}", "values.token": SECRETS[1]},
    "/settings/notifications/<int:channel_id>": lambda v: {
        "name": v["name"],
        "url": f"jsons://{SECRETS[2]}@127.0.0.1:9",
    },
    "/settings/notifications/new": lambda v: {"name": f"n-{v['name']}", "url": f"jsons://{SECRETS[2]}@127.0.0.1:9"},
    "/settings/publish": lambda v: {
        "domain_names": f"p.{v['name']}.example.com",
        "agent_id": v["agent_id"],
        "forward_host": "127.0.0.1",
        "forward_port": "7800",
    },
    "/users/<int:user_id>/role": lambda _: {"role": "operator"},
    "/users/invite": lambda _: {"note": "Maya", "role": "viewer", "days": "7"},
}
QUERIES: dict[str, Callable[[Values], str]] = {
    "/hosts/bulk/undo": query_of_bulk_undo,
    "/settings/dns/new": lambda _: "?provider=cloudflare",
    "/settings/notifications/new": lambda _: "?kind=apprise",
}


def with_second_factor(app: Flask, client: FlaskClient, v: Values, *, is_on: bool = True) -> None:
    with app.app_context(), transaction():
        user = db.session.get_one(User, v["me"])
        second_factors.begin(user)
        v["code"] = pyotp.TOTP(second_factors.secret(user)).generate_otp(int(time.time()) // totp.STEP)
        if is_on:
            second_factors.confirm(user, v["code"])


def half_way(app: Flask, client: FlaskClient, v: Values) -> None:
    with_second_factor(app, client, v)
    with app.app_context(), transaction():
        key = browser_sessions.start_second_step(db.session.get_one(User, v["me"]), Visit(ADDRESS, "pytest"))
    with client.session_transaction() as session:
        session.clear()
        session["key"] = key


def logged_out(_app: Flask, client: FlaskClient, _v: Values) -> None:
    with client.session_transaction() as session:
        session.clear()


def of_source(source: str) -> Prepare:
    def prepare(app: Flask, _client: FlaskClient, v: Values) -> None:
        with app.app_context(), transaction():
            certificates.get(v["certificate_id"]).source = source

    return prepare


def doing(act: Callable[[Values], object]) -> Prepare:
    """In a transaction, before the address is called."""

    def prepare(app: Flask, _client: FlaskClient, v: Values) -> None:
        with app.app_context(), transaction():
            act(v)

    return prepare


def _finish(v: Values) -> None:
    db.session.get_one(Command, v["command_id"]).state = "failed"


def _rehearsed(v: Values) -> None:
    command = db.session.get_one(Command, v["command_id"])
    command.kind, command.state, command.certificate_id = "issue_certificate", "failed", v["certificate_id"]


def _unused(v: Values) -> None:
    certificates.get(v["certificate_id"]).authority_id = None


def _secured(v: Values) -> None:
    accounts.get_by_id(v["user_id"]).totp_since = utcnow()


def _live(app: Flask, _client: FlaskClient, v: Values) -> None:
    with app.app_context():
        agent = db.session.get_one(Agent, v["agent_id"])
        db.session.expunge(agent)
    make_live(app, agent)


def _deleted(v: Values) -> None:
    proxy_hosts.delete(proxy_hosts.get(v["host_id"]), None)
    v["event_id"] = audit.of_object("proxy_host", v["host_id"], 1)[0].event.id


def _edited(v: Values) -> None:
    host = proxy_hosts.get(v["host_id"])
    v["event_id"] = audit.of_object("proxy_host", host.id, 1)[0].event.id
    proxy_hosts.set_enabled(host, False, None)


def _switched_off(v: Values) -> None:
    me = db.session.get_one(User, v["me"])
    bulk.set_enabled(bulk.Selection((v["host_id"],)), False, me)
    v["event_id"] = audit.of_object("proxy_host", v["host_id"], 1)[0].event.id


PREPARED: dict[str, Prepare] = {
    "/account/second-factor/confirm": lambda *a: with_second_factor(*a, is_on=False),
    "/account/second-factor/recovery-codes": with_second_factor,
    "/account/second-factor/turn-off": with_second_factor,
    "/agents/<agent_id>/put-back": _live,
    "/audit/<int:event_id>/undo": doing(_deleted),
    "/certificates/<int:certificate_id>/replace": of_source("upload"),
    "/certificates/<int:certificate_id>/resume": doing(
        lambda v: certificates.pause(certificates.get(v["certificate_id"]), None)
    ),
    "/certificates/<int:certificate_id>/take-over": of_source("certbot"),
    "/first-steps/show": doing(lambda v: checklist.set_hidden(db.session.get_one(User, v["me"]), is_hidden=True)),
    "/hosts/<int:host_id>/enable": doing(lambda v: proxy_hosts.set_enabled(proxy_hosts.get(v["host_id"]), False, None)),
    "/hosts/<int:host_id>/restore": doing(_deleted),
    "/hosts/<int:host_id>/versions/<int:event_id>": doing(_edited),
    "/hosts/bulk/undo": doing(_switched_off),
    "/invite": logged_out,
    "/jobs/<command_id>/request": doing(_rehearsed),
    "/jobs/<command_id>/retry": doing(_finish),
    "/jobs/<command_id>/try-on-staging": doing(_rehearsed),
    "/login": logged_out,
    "/login/code": half_way,
    "/settings/authorities/<int:authority_id>/delete": doing(_unused),
    "/users/<int:user_id>/reset-second-factor": doing(_secured),
    "/users/<int:user_id>/enable": doing(lambda v: accounts.disable(accounts.get_by_id(v["user_id"]))),
}


def routes() -> list[str]:
    lines = (line.split() for line in ROUTES.strip().splitlines())
    return [path for path, *methods in lines if any(method.startswith("POST:") for method in methods)]


def world(app: Flask, number: int) -> Values:
    """Objects of this call alone, for every part of an address, and an administrator who calls."""
    name, now = f"w{number}", utcnow()
    me = store(app, User(username=name, password_hash=PASSWORD_HASH, role=Role.ADMINISTRATOR))
    dora = store(app, User(username=f"d{number}", password_hash=PASSWORD_HASH, role=Role.VIEWER))
    agent = store(app, Agent(id=str(uuid4()), name=f"a{number}", joined_at=now, nginx_version="1.22.1", http_port=80))
    reload = Command(id=str(uuid4()), agent_id=agent.id, seq=1000, kind="reload", state="queued", expires_at=now)
    v: Values = {"name": name, "me": me.id, "user_id": dora.id, "agent_id": agent.id}
    v["command_id"] = store(app, reload).id
    v["identity_id"] = store(app, Identity(user_id=me.id, issuer="https://id.example", subject=name)).id
    v["host_id"] = add_host(app, agent, f"{name}.example.com")
    v["authority_id"] = add_authority(app, f"CA {name}", staging_directory_url=f"https://{name}.example.com/staging")
    v["certificate_id"] = add_certificate(app, agent, f"{name}.example.com", authority_id=v["authority_id"])
    v["credential_id"] = add_credential(app, agent, f"dns {name}", SECRETS[0])
    wish = container("app", "back", ports=[(80, 0)], labels={"waypost.host": f"label.{name}.example.com"})
    with app.app_context():
        tell(agent, report([network("front", attached=True, wanted=True), network("back")], [wish]))
        with transaction():
            for old in channels.list_all():  # a panel has few of them
                channels.delete(old, None)
            channel = channels.create(
                f"c {name}", "apprise", {"url": "jsons://127.0.0.1:9"}, None, app.config["WAYPOST"]
            )
            invitation, v["token"] = invitations.create(Role.VIEWER, "", 1, None)
            v["channel_id"], v["invitation_id"] = channel.id, invitation.id
            browser_sessions.start(db.session.get_one(User, me.id), Visit(ADDRESS, "another browser"), by="a test")
            v["session_id"] = browser_sessions.list_for(db.session.get_one(User, me.id), now)[0].id
    return v


def newest_id(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.max(Event.id))) or 0


def entries_since(app: Flask, number: int) -> list[Event]:
    with app.app_context():
        return list(db.session.scalars(select(Event).where(Event.id > number)))


def call(app: Flask, path: str, v: Values) -> tuple[int, list[Event]]:
    """Posts what a browser would; the status, and what the log has more than before."""
    client = app.test_client()
    with app.app_context():
        me = db.session.get_one(User, v["me"])
        db.session.expunge(me)
    login(client, me)
    if path in PREPARED:
        PREPARED[path](app, client, v)
    before = newest_id(app)
    url = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(v[match[1]]), path) + (
        QUERIES[path](v) if path in QUERIES else ""
    )
    form = FORMS.get(path, nothing)(v)
    response = client.post(url, data=form, environ_base={"REMOTE_ADDR": ADDRESS})
    return response.status_code, entries_since(app, before)


def faults_of(path: str, status: int, entries: list[Event]) -> list[str]:
    if not entries:
        return [f"{path} answered {status} and left no entry"]
    found = [f"{path}: {one.verb} has no words" for one in entries if one.verb not in words.VERBS]
    found += [f"{path}: {one.verb} came from {one.origin}" for one in entries if one.origin != ADDRESS]
    found += [f"{path}: {one.noun} is of no known kind" for one in entries if one.noun not in words.NOUNS]
    texts = [str((one.before, one.after, one.object_name)) for one in entries]
    return found + [f"{path} tells {secret}" for secret in SECRETS for text in texts if secret in text]


@pytest.mark.timeout(240)
def test_every_change_leaves_an_entry_with_its_place_and_without_secrets(app: Flask, config: Config) -> None:
    with app.app_context():
        open_authority(config.pki_dir, utcnow())
    faults = []
    for number, path in enumerate(path for path in routes() if path not in NO_CHANGE):
        faults += faults_of(path, *call(app, path, world(app, number)))
    assert faults == []


def test_each_reason_and_each_form_is_for_an_address_that_exists() -> None:
    assert set(NO_CHANGE) | set(FORMS) | set(PREPARED) <= set(routes())
    assert not set(NO_CHANGE) & set(FORMS)


def test_the_first_administrator_is_in_the_log(app: Flask, client: FlaskClient, config: Config) -> None:
    with app.app_context(), transaction():
        link = setup_links.ensure(config) or ""
    form = {"username": "maya", "password": SECRETS[3], "repeat": SECRETS[3], "token": link.partition("token=")[2]}
    assert client.post("/setup", data=form).status_code == 303
    assert [one.verb for one in entries_since(app, 0)] == ["user:setup", "user:login"]


def test_an_entry_names_the_job_that_brings_it(app: Flask, client: FlaskClient, agent: Agent, bob: User) -> None:
    host_id = add_host(app, agent)
    login(client, bob)
    client.post(f"/hosts/{host_id}/disable")
    with app.app_context():
        [entry] = audit.of_object("proxy_host", host_id, 1)
        assert entry.event.command_id == db.session.scalar(select(Command.id))
        with transaction():
            deployments.apply(db.session.get_one(Agent, agent.id), db.session.get_one(User, bob.id))
        [applied] = audit.of_object("agent", agent.id, 1)
        assert (applied.event.verb, applied.event.command_id) == ("agent:apply", entry.event.command_id)


def test_what_an_agent_does_comes_from_the_agent(app: Flask, agent: Agent) -> None:
    with app.app_context(), context.coming_from(context.AGENT + agent.id), transaction():
        assert events.record(None, "agent", "drift", agent.id, agent.name).origin == "agent local"
    with app.app_context(), transaction():
        assert events.record(None, "agent", "drift", agent.id, agent.name).origin == "panel"
