"""What needs a person: each thing told once, worst first, much of it together, and nothing that is in order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import AcmeAuthority, Agent, DnsCredential, NotificationChannel, ProxyHost
from panel.models.types import utcnow
from panel.services import attention, certificate_census, estate, proxy_hosts
from panel.services.troubles import Kind, Trouble
from tests.certificates import FAILURE, add_certificate, add_credential, add_wish
from tests.hosts import add_host, make_live

WELL = {"database": "ok", "disk": "ok"}
Look = Callable[..., list[Trouble]]


@pytest.fixture
def look(app: Flask, config: Config) -> Look:
    def find(**parts: str) -> list[Trouble]:
        with app.app_context():
            everything = estate.read(config)
            return attention.find(everything, certificate_census.take(everything.now), WELL | parts)

    return find


@pytest.fixture(autouse=True)
def here(app: Flask, agent: Agent) -> None:
    """The agent is connected, and its nginx runs."""
    facts = {"nginx_running": True, "letsencrypt_dir": "/etc/letsencrypt"}
    change(app, agent, is_connected=True, is_synced=True, last_seen_at=utcnow(), **facts)


def change(app: Flask, agent: Agent, **values: Any) -> None:
    with app.app_context(), transaction():
        known = db.session.get_one(Agent, agent.id)
        for name, value in values.items():
            setattr(known, name, value)


def live_host(app: Flask, agent: Agent, *names: str, **values: Any) -> int:
    host_id = add_host(app, agent, *names, **values)
    make_live(app, agent)
    return host_id


def use(app: Flask, host_id: int, certificate_id: int) -> None:
    with app.app_context(), transaction():
        proxy_hosts.get(host_id).certificate_id = certificate_id


def health(host: str, cause: str = "refused", **values: Any) -> dict[str, Any]:
    row = {"scheme": "http", "host": host, "port": 3000, "ok": False, "cause": cause, "container": "", "network": ""}
    said = {"sentence": f"{host}:3000 refuses connections.", "next_step": "Start it.", "checked_at": None}
    return {**row, **said, "milliseconds": 1, **values}


def only(found: list[Trouble]) -> Trouble:
    assert len(found) == 1, found
    return found[0]


def said(one: Trouble) -> str:
    return f"{one.before}{one.subject}{one.after}"


def test_nothing_needs_anybody_when_all_is_well(app: Flask, agent: Agent, look: Look) -> None:
    use(app, live_host(app, agent), add_certificate(app, agent))
    make_live(app, agent)
    assert look() == []


def test_an_agent_that_went_away_is_told_with_what_still_serves(app: Flask, agent: Agent, look: Look) -> None:
    live_host(app, agent)
    add_host(app, agent, "b.example.com")
    change(app, agent, is_connected=False, last_seen_at=utcnow() - timedelta(minutes=4))
    one = only(look())
    assert said(one) == "Agent local stopped reporting"
    assert one.why.startswith("Its 1 host keeps serving revision ")
    assert one.why.endswith("1 change for it waits.")
    assert (one.tone, one.action.address) == ("bad", f"/agents/{agent.id}")


@pytest.mark.parametrize(
    ("values", "words", "why"),
    [
        ({"refused_because": "Two machines use its identity."}, "Agent local is not let in", "Two machines use its"),
        ({"nginx_running": False}, "nginx on local is not running", "1 host is not served."),
        ({"nginx_problem": "the pid file is gone"}, "Something is wrong with nginx on local", "the pid file is gone."),
        ({"apply_error": "nginx did not start."}, "The last apply on local failed", "What was live before keeps"),
        ({"drift": [{"path": "http.conf"}]}, "1 file of nginx on local was changed by hand", "The next apply"),
        ({"certificates_problem": "The folder is full"}, "Agent local cannot look after its certificates", "full."),
    ],
)
def test_what_is_wrong_with_an_agent_or_its_nginx_is_one_sentence(
    app: Flask, agent: Agent, look: Look, values: dict[str, Any], words: str, why: str
) -> None:
    live_host(app, agent)
    change(app, agent, **values)
    one = only(look())
    assert said(one) == words
    assert why in one.why


def test_an_agent_that_never_came_is_told_when_hosts_wait_for_it(app: Flask, agent: Agent, look: Look) -> None:
    change(app, agent, joined_at=None, created_at=utcnow() - timedelta(hours=1))
    assert look() == []
    add_host(app, agent)
    assert said(only(look())) == "Agent local has not joined yet"


def test_a_refused_host_is_worse_when_nothing_of_it_is_served(app: Flask, agent: Agent, look: Look) -> None:
    live, new = live_host(app, agent, "live.example.com"), add_host(app, agent, "new.example.com")
    with app.app_context(), transaction():
        for host_id in (live, new):
            proxy_hosts.set_aside(proxy_hosts.get(host_id), "invalid port", line=3, field="forward_port")
    first, second = look()
    assert [said(first), said(second)] == ["nginx refused new.example.com", "nginx refused live.example.com"]
    assert [first.tone, second.tone] == ["bad", "warn"]
    assert second.why == "invalid port. The last good version keeps serving."
    assert first.mend
    assert first.mend.address == f"/hosts/{new}/edit"


def test_hosts_that_fail_are_told_one_by_one_or_together(app: Flask, agent: Agent, look: Look) -> None:
    live_host(app, agent, "one.example.com", host="10.9.9.9")
    change(app, agent, upstreams=[health("10.9.9.9", "timeout")])
    one = only(look())
    assert said(one) == "one.example.com answers with 504"
    assert one.why == "10.9.9.9:3000 refuses connections. Start it."
    for number in range(4):
        live_host(app, agent, f"h{number}.example.com", host="10.9.9.9")
    together = only(look())
    assert said(together) == "5 hosts of local answer with errors"
    assert together.why.startswith("one.example.com, h0.example.com, h1.example.com and 2 more. 10.9.9.9:3000 refuses")
    assert together.action.address == f"/hosts?q=10.9.9.9%3A3000&agent={agent.id}"


def test_a_host_that_is_off_or_of_an_agent_that_is_away_fails_nobody(app: Flask, agent: Agent, look: Look) -> None:
    host_id = live_host(app, agent)
    change(app, agent, upstreams=[health("10.0.0.5")])
    assert only(look()).kind is Kind.UPSTREAM
    with app.app_context(), transaction():
        proxy_hosts.set_enabled(proxy_hosts.get(host_id), False, None)
    make_live(app, agent)
    assert look() == []


def test_what_is_saved_and_forgotten_is_told_after_a_while(app: Flask, agent: Agent, look: Look) -> None:
    host_id = add_host(app, agent)
    assert look() == []
    with app.app_context(), transaction():
        db.session.get_one(ProxyHost, host_id).changed_at = utcnow() - timedelta(minutes=20)
    one = only(look())
    assert said(one) == "1 change for local is saved but not live"
    assert (one.why, one.action.address) == (
        "app.example.com: visitors get what was applied before.",
        "/changes",
    )


@pytest.mark.parametrize(
    ("values", "left", "words", "tone", "mend"),
    [
        ({}, -1, "The certificate app.example.com has expired", "bad", "Renew now"),
        ({"failures": 2, "last_failure": FAILURE}, 6, "failed 2 times, it expires in 6 days", "bad", ""),
        ({"failures": 1, "last_failure": FAILURE}, 25, "failed once, it expires in 25 days", "warn", ""),
        ({"source": "upload"}, 25, "The certificate app.example.com expires in 25 days", "warn", "Upload the next one"),
        ({"source": "certbot"}, 12, "The certificate app.example.com expires in 12 days", "warn", "Take over renewal"),
        ({"is_paused": True}, 25, "The certificate app.example.com expires in 25 days", "warn", "Resume renewal"),
        ({"revoked_at": utcnow()}, 60, "The certificate app.example.com was revoked", "bad", ""),
        ({"is_present": False, "problem": "No key."}, 60, "app.example.com is missing on local", "bad", ""),
    ],
)
def test_a_certificate_that_needs_somebody(
    app: Flask, agent: Agent, look: Look, values: dict[str, Any], left: float, words: str, tone: str, mend: str
) -> None:
    host_id = live_host(app, agent)
    use(app, host_id, add_certificate(app, agent, left=left, **values))
    one = only(look())
    assert words in said(one)
    assert one.tone == tone
    assert "app.example.com" in one.why
    assert (one.mend.label if one.mend else "") == mend


def test_many_certificates_are_one_sentence_with_their_cause_when_it_is_the_same(
    app: Flask, agent: Agent, look: Look
) -> None:
    for letter in "abcdef":
        add_certificate(app, agent, f"{letter}.example.com", left=15, next_action_at=None)
    one = only(look())
    assert said(one) == "6 certificates expire soon"
    assert one.why == "a.example.com, b.example.com, c.example.com and 3 more. It was not renewed in time."
    add_certificate(app, agent, "g.example.com", left=15, next_action_at=None, is_paused=True)
    assert only(look()).why == "a.example.com, b.example.com, c.example.com and 4 more."
    assert only(look()).action.address == "/certificates?status=due"


@pytest.mark.parametrize(
    ("values", "left"),
    [({}, 25), ({"source": "certbot"}, 25), ({"source": "upload"}, 60), ({"is_paused": True}, 60)],
)
def test_a_certificate_that_is_looked_after_needs_nobody(
    app: Flask, agent: Agent, look: Look, values: dict[str, Any], left: float
) -> None:
    use(app, live_host(app, agent), add_certificate(app, agent, left=left, **values))
    assert look() == []


def test_a_certificate_that_could_not_be_obtained_says_which_host_waits(app: Flask, agent: Agent, look: Look) -> None:
    host_id = live_host(app, agent)
    wish = add_wish(app, agent)
    use(app, host_id, wish)
    assert look() == []
    with app.app_context(), transaction():
        certificate = proxy_hosts.get(host_id).certificate
        assert certificate
        certificate.failures, certificate.last_failure = 1, FAILURE
    one = only(look())
    assert said(one) == "The certificate app.example.com could not be obtained"
    assert one.why.endswith("Set the A record to 203.0.113.5. app.example.com is served without HTTPS.")


def test_settings_that_do_not_work_are_told(app: Flask, agent: Agent, look: Look) -> None:
    credential = add_credential(app, agent)
    with app.app_context(), transaction():
        db.session.get_one(DnsCredential, credential).test_error = "The token was refused"
        db.session.add(AcmeAuthority(name="Zero", directory_url="https://z.example/d", needs_eab=True, is_default=True))
        db.session.add(AcmeAuthority(name="Unused", directory_url="https://u.example/d", needs_eab=True))
        db.session.add(NotificationChannel(name="Mail", kind="smtp", last_error="The server is away"))
        db.session.add(NotificationChannel(name="Old", kind="smtp", last_error="Gone", is_enabled=False))
    assert [said(one) for one in look()] == [
        "The DNS credential Zone of the shop does not work",
        "The authority Zero cannot be asked",
        "News does not arrive by Mail",
    ]


def test_the_panel_says_what_is_wrong_with_itself_first(app: Flask, agent: Agent, look: Look) -> None:
    change(app, agent, is_connected=False, last_seen_at=None)
    first = look(disk="only 3 MiB are free for the state folder; when it is full nothing is saved")[0]
    assert said(first) == "The panel's disk is filling up"
    assert first.why.startswith("Only 3 MiB are free")


def test_a_dozen_agents_that_went_away_are_one_sentence(app: Flask, look: Look) -> None:
    with app.app_context(), transaction():
        for number in range(11):
            db.session.add(Agent(id=f"a{number}", name=f"edge-{number}", joined_at=utcnow(), last_seen_at=None))
    one = only(look())
    assert said(one) == "11 agents stopped reporting"
    assert one.why == "edge-0, edge-1, edge-10 and 8 more. No host is served by it."
