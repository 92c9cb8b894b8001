"""Many hosts at once: all of them or a reason, one generation and one apply per agent, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from panel.errors import Forbidden, Invalid
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, Command, DomainName, Event, ProxyHost, User
from panel.models.types import utcnow
from panel.services import bulk, bulk_certificates, bulk_undo, proxy_hosts, tags
from panel.services.bulk import Left, Outcome, Selection
from panel.services.host_queries import HostFilter
from panel.services.proxy_hosts import ProxyHostSpec
from tests.statements import Statement, counted

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def other(agent: Agent) -> Agent:
    db.session.add(Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", joined_at=utcnow()))
    db.session.commit()
    return db.session.get_one(Agent, "7d5f4a0e-0000-4000-8000-000000000002")


@pytest.fixture
def hosts(context: None, spec: ProxyHostSpec) -> list[ProxyHost]:
    """Five hosts, a to e."""
    with transaction():
        return [proxy_hosts.create(replace(spec, domain_names=(f"{c}.example.com",)), None) for c in "abcde"]


def chosen(hosts: list[ProxyHost]) -> Selection:
    return Selection(tuple(host.id for host in hosts))


def undo(outcome: Outcome, actor: User) -> Outcome:
    assert outcome.events is not None
    with transaction():
        return bulk_undo.undo(*outcome.events, actor)


def test_one_generation_one_apply_and_an_event_for_each(hosts: list[ProxyHost], agent: Agent, bob: User) -> None:
    before = agent.generation
    with transaction():
        outcome = bulk.set_enabled(chosen(hosts[:3]), False, bob)
    assert outcome.changed == ("a.example.com", "b.example.com", "c.example.com")
    assert outcome.left == ()
    assert agent.generation == before + 1
    assert {host.changed_generation for host in hosts[:3]} == {agent.generation}
    assert [host.is_enabled for host in hosts] == [False, False, False, True, True]
    assert db.session.scalars(select(Command.id)).all() == list(outcome.jobs)
    found = db.session.scalars(select(Event).where(Event.verb == "proxy_host:disable")).all()
    assert [one.object_name for one in found] == list(outcome.changed)
    assert all(one.before and one.after and one.actor_id == bob.id for one in found)


def test_hosts_of_two_agents_make_two_applies(hosts: list[ProxyHost], spec: ProxyHostSpec, other: Agent) -> None:
    with transaction():
        mine = proxy_hosts.create(replace(spec, agent_id=other.id, domain_names=("z.example.com",)), None)
    with transaction():
        outcome = bulk.delete(chosen([hosts[0], mine]), None)
    agents = {command.agent_id for command in db.session.scalars(select(Command))}
    assert agents == {hosts[0].agent_id, other.id}
    assert len(outcome.jobs) == 2


def test_a_revoked_agent_gets_no_apply(hosts: list[ProxyHost], agent: Agent) -> None:
    with transaction():
        agent.revoked_at = utcnow()
    with transaction():
        outcome = bulk.delete(chosen(hosts), None)
    assert len(outcome.changed) == 5
    assert outcome.jobs == ()


def test_nobody_is_left_out_without_a_word(hosts: list[ProxyHost]) -> None:
    with transaction():
        proxy_hosts.set_enabled(hosts[0], False, None)
        proxy_hosts.delete(hosts[1], None)
    with transaction():
        outcome = bulk.set_enabled(Selection((*[h.id for h in hosts], 4711)), False, None)
    assert outcome.changed == ("c.example.com", "d.example.com", "e.example.com")
    assert set(outcome.left) == {
        Left("Host 4711", "It does not exist any more."),
        Left("a.example.com", "It was disabled already."),
        Left("b.example.com", "It was deleted meanwhile."),
    }


@pytest.mark.usefixtures("hosts")
def test_all_that_match_are_found_by_the_lists_query() -> None:
    with transaction():
        outcome = bulk.add_tag(Selection(wanted=HostFilter(query="b.example")), "Staging", None)
    assert outcome.changed == ("b.example.com",)
    with transaction():
        again = bulk.delete(Selection(wanted=HostFilter(tag="staging")), None)
    assert again.changed == ("b.example.com",)


def test_tags_are_no_news_for_nginx(hosts: list[ProxyHost], agent: Agent, bob: User) -> None:
    before = agent.generation
    with transaction():
        outcome = bulk.add_tag(chosen(hosts), "internal", bob)
    assert (agent.generation, outcome.jobs) == (before, ())
    assert tags.all_names() == {"internal": 5}
    with transaction():
        taken = bulk.remove_tag(chosen(hosts[:1]), "internal", bob)
    assert hosts[0].tags == []
    assert undo(taken, bob).changed == ("a.example.com",)
    assert hosts[0].tags == ["internal"]


def test_a_host_with_ten_tags_is_named_and_a_tag_has_a_grammar(hosts: list[ProxyHost]) -> None:
    with transaction():
        hosts[0].tags = [f"t{n}" for n in range(10)]
    with transaction():
        outcome = bulk.add_tag(chosen(hosts[:2]), "one-more", None)
    assert [left.name for left in outcome.left] == ["a.example.com"]
    with pytest.raises(Invalid, match="not one word"):
        bulk.add_tag(chosen(hosts), "two words", None)


def test_a_viewer_changes_nothing(hosts: list[ProxyHost], charlie: User) -> None:
    with pytest.raises(Forbidden), transaction():
        bulk.delete(chosen(hosts), charlie)
    with pytest.raises(Forbidden), transaction():
        bulk_undo.undo(1, 9, charlie)


def test_a_deletion_gives_names_back_and_undo_takes_them(hosts: list[ProxyHost], agent: Agent, bob: User) -> None:
    with transaction():
        outcome = bulk.delete(chosen(hosts), bob)
    assert db.session.scalar(select(func.count()).select_from(DomainName)) == 0
    assert all(host.is_deleted for host in hosts)
    generation = agent.generation
    back = undo(outcome, bob)
    assert len(back.changed) == 5
    assert agent.generation == generation + 1
    assert not any(host.is_deleted for host in hosts)
    assert db.session.scalar(select(func.count()).select_from(DomainName)) == 5
    assert undo(outcome, bob).left[0].reason == "It is back already."


def test_undo_leaves_what_was_taken_or_changed_since(hosts: list[ProxyHost], spec: ProxyHostSpec, bob: User) -> None:
    with transaction():
        deleted = bulk.delete(chosen(hosts[:2]), bob)
        disabled = bulk.set_enabled(chosen(hosts[2:4]), False, bob)
    with transaction():
        proxy_hosts.create(replace(spec, domain_names=("new.example.com", "a.example.com")), None)
        proxy_hosts.set_enabled(hosts[2], True, None)
    back = undo(deleted, bob)
    assert back.changed == ("b.example.com",)
    assert back.left[0].reason.startswith("a.example.com belongs to new.example.com now.")
    assert undo(disabled, bob).left == (Left("c.example.com", "Somebody changed it since."),)


def test_undo_takes_back_one_change_of_many_and_nothing_that_lies_between(
    hosts: list[ProxyHost], spec: ProxyHostSpec, alice: User, bob: User
) -> None:
    with transaction():
        first = bulk.set_enabled(chosen(hosts[:2]), False, bob)
        proxy_hosts.set_enabled(hosts[2], False, bob)
        second = bulk.set_enabled(chosen(hosts[3:]), False, alice)
        proxy_hosts.create(replace(spec, domain_names=("new.example.com",)), None)
    assert first.events is not None
    assert second.events is not None
    with transaction():
        assert bulk_undo.undo(first.events[0], second.events[1] + 1, alice).changed == first.changed
    assert [host.is_enabled for host in hosts] == [True, True, False, False, False]
    with transaction():
        assert bulk_undo.undo(second.events[1] + 1, second.events[1] + 1, alice) == Outcome((), ())
        assert bulk_undo.undo(10**6, 10**6, alice) == Outcome((), ())


def certificate(agent: Agent, *names: str) -> Certificate:
    files = {"is_present": True, "chain_path": "/c", "key_path": "/k"}
    row = Certificate(agent_id=agent.id, name=names[0].replace("*.", "any."), domain_names=list(names), **files)
    db.session.add(row)
    db.session.commit()
    return row


def test_a_certificate_goes_to_those_that_it_is_for(hosts: list[ProxyHost], agent: Agent, bob: User) -> None:
    one = certificate(agent, "a.example.com", "b.example.com")
    assert bulk_certificates.offered(hosts) == [(one, 2)]
    with transaction():
        outcome = bulk_certificates.assign(chosen(hosts[:3]), one, bob)
    assert outcome.changed == ("a.example.com", "b.example.com")
    assert outcome.left[0].name == "c.example.com"
    assert "is not for c.example.com" in outcome.left[0].reason
    assert [host.certificate_id for host in hosts[:3]] == [one.id, one.id, None]
    assert len(outcome.jobs) == 1
    undo(outcome, bob)
    assert hosts[0].certificate_id is None


@pytest.fixture
def statements() -> Iterator[list[Statement]]:
    with counted() as found:
        yield found


def test_only_the_log_grows_with_the_hosts(
    hosts: list[ProxyHost], spec: ProxyHostSpec, statements: list[Statement]
) -> None:
    """What is asked of the database, but for an event each, is the same for 2 and for 40."""
    with transaction():
        more = [proxy_hosts.create(replace(spec, domain_names=(f"n{n}.example.com",)), None) for n in range(40)]
    counts = []
    for selection in (chosen(hosts[:2]), chosen(more)):
        statements.clear()
        with transaction():
            bulk.set_enabled(selection, False, None)
        counts.append(len([one for one in statements if "INTO event" not in one.text]))
    assert counts[0] + 1 >= counts[1]
