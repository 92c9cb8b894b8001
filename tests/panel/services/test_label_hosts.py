"""Labels of containers: offered to a person, made unasked where they are trusted, and never taken as more than text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind, Event, ProxyHost, User
from panel.services import label_hosts, proxy_hosts
from tests.docking import container, network, report, tell

pytestmark = pytest.mark.usefixtures("context")


def labelled(name: str = "app", *, place: str = "front", **labels: str) -> dict[str, Any]:
    return container(name, place, ports=[(8080, 0)], labels={f"waypost.{key}": value for key, value in labels.items()})


def offer(agent: Agent, *containers: dict[str, Any]) -> Agent:
    return tell(agent, report([network("front", attached=True), network("back")], containers))


def accept(agent: Agent, container_id: str, actor: User | None) -> ProxyHost:
    with transaction():
        return label_hosts.accept(agent, container_id, actor)


def hosts() -> list[ProxyHost]:
    return list(db.session.scalars(select(ProxyHost).where(ProxyHost.deleted_at.is_(None)).order_by(ProxyHost.id)))


def kinds() -> list[str]:
    return list(db.session.scalars(select(Command.kind).order_by(Command.seq)))


def trust(agent: Agent) -> None:
    with transaction():
        label_hosts.set_trust(agent, None, is_on=True)


def test_an_offer_is_confirmed_by_one_click_and_is_gone_then(agent: Agent, bob: User) -> None:
    one = labelled(host="App.Example.com, www.example.com", port="9000", scheme="https")
    known = offer(agent, one)
    host = accept(known, one["id"], bob)
    assert host.domain_names == ["app.example.com", "www.example.com"]
    assert host.upstream_url == "https://app:9000"
    assert kinds() == [CommandKind.APPLY_CONFIG]
    assert label_hosts.offers(known) == []
    with pytest.raises(NotFound):
        accept(known, one["id"], bob)


def test_nginx_is_joined_before_the_host_goes_live(agent: Agent) -> None:
    one = labelled(place="back", host="app.example.com")
    accept(offer(agent, one), one["id"], None)
    assert kinds() == [CommandKind.ATTACH_NETWORK, CommandKind.APPLY_CONFIG]


def test_the_network_of_a_label_is_taken(agent: Agent) -> None:
    one = labelled(host="app.example.com", network="back")
    one["endpoints"].append({"network": "back", "address": "172.29.0.9", "aliases": []})
    (wish,) = label_hosts.offers(offer(agent, one))
    assert wish.network == "back"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"host": "bad_name"}, "waypost.host: “bad_name” has an underscore"),
        ({"host": "a.example.com; return 200 'x'"}, "waypost.host:"),
        ({"host": '"><script>'}, "waypost.host:"),
        ({"host": "a.example.com", "port": "99999"}, "waypost.port:"),
        ({"host": "a.example.com", "port": "80; }"}, "waypost.port:"),
        ({"host": "a.example.com", "scheme": "javascript"}, "waypost.scheme:"),
        ({"host": "a.example.com", "network": "host"}, "not in host"),
    ],
)
def test_labels_that_cannot_be_used_say_why_and_make_nothing(agent: Agent, labels: dict[str, str], words: str) -> None:
    one = labelled(**labels)
    known = offer(agent, one)
    trust(known)
    (wish,) = label_hosts.offers(known)
    assert words in wish.problem
    assert hosts() == []
    with pytest.raises(Conflict, match="cannot be used"):
        accept(known, one["id"], None)


def test_viewers_confirm_nothing_and_only_administrators_trust(agent: Agent, charlie: User, bob: User) -> None:
    one = labelled(host="app.example.com")
    known = offer(agent, one)
    with pytest.raises(Forbidden):
        accept(known, one["id"], charlie)
    with pytest.raises(Forbidden), transaction():
        label_hosts.set_trust(known, bob, is_on=True)
    assert (known.trusts_labels, hosts()) == (False, [])


def test_a_name_of_another_host_is_not_taken_away(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save("app.example.com")
    one = labelled(host="new.example.com app.example.com")
    known = offer(agent, one)
    with pytest.raises(Invalid):
        accept(known, one["id"], None)
    trust(known)
    assert len(hosts()) == 1


def test_trusted_labels_make_hosts_by_themselves_as_the_agents_doing(agent: Agent, alice: User) -> None:
    known = offer(agent, labelled(host="app.example.com"))
    assert hosts() == []
    with transaction():
        label_hosts.set_trust(known, alice, is_on=True)
    assert [host.primary_name for host in hosts()] == ["app.example.com"]
    event = db.session.scalars(select(Event).where(Event.verb == "agent:label-host")).one()
    assert (event.actor_id, event.object_id) == (None, known.id)
    assert event.after == {"container": "app", "names": ["app.example.com"]}
    offer(known, labelled(host="app.example.com"), labelled("two", host="two.example.com"))
    offer(known, labelled(host="app.example.com"), labelled("two", host="two.example.com"))
    assert [host.primary_name for host in hosts()] == ["app.example.com", "two.example.com"]


def test_a_container_that_is_gone_takes_no_host_along_and_a_deleted_host_stays_deleted(agent: Agent) -> None:
    known = offer(agent, labelled(host="app.example.com"))
    trust(known)
    offer(known)
    (host,) = hosts()
    with transaction():
        proxy_hosts.delete(host, None)
    offer(known, labelled(host="app.example.com"))
    assert hosts() == []
    assert len(label_hosts.offers(known)) == 1


def test_one_report_makes_only_so_many_hosts(agent: Agent) -> None:
    trust(offer(agent))
    many = [labelled(f"c{number:03}", host=f"h{number}.example.com") for number in range(60)]
    known = offer(agent, *many)
    assert len(hosts()) == label_hosts.MAX_ADOPTED
    offer(known, *many)
    assert len(hosts()) == 60


def test_a_certificate_that_cannot_be_asked_for_leaves_the_host(agent: Agent) -> None:
    one = labelled(host="*.example.com", ssl="true")
    host = accept(offer(agent, one), one["id"], None)
    assert host.certificate_id is None
    refused = db.session.scalars(select(Event).where(Event.verb == "proxy_host:certificate-refused")).one()
    assert "wildcard" in (refused.after or {})["problem"]


def test_nginx_and_the_agent_offer_nothing(agent: Agent) -> None:
    known = offer(agent, {**labelled(host="app.example.com"), "own": True})
    assert label_hosts.offers(known) == []
