"""Taking changes back: what can be, when it cannot be any more, and what is said then."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from panel.config import Config
from panel.errors import Conflict, Forbidden
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, Command, Event, ProxyHost, Role, User
from panel.models.types import utcnow
from panel.services import accounts, audit, authorities, certificates, channels, deployments, proxy_hosts, undo
from panel.services.proxy_hosts import ProxyHostSpec, spec_of
from panel.services.undo import Standing
from panel.services.undo_ways import NEUTRAL, WAYS, Undone
from tests.certificates import add_certificate
from tests.panel.services.certifying import set_up
from tests.statements import counted, plan

pytestmark = pytest.mark.usefixtures("context")

Save = Callable[..., ProxyHost]


def newest(noun: str = "proxy_host") -> Event:
    return db.session.scalars(select(Event).where(Event.noun == noun).order_by(Event.id.desc()).limit(1)).one()


def edit(host: ProxyHost, actor: User | None, *, apply: bool = True, **values: object) -> Event:
    with transaction():
        proxy_hosts.update(host, replace(spec_of(host), **values), actor, version=host.version)  # type: ignore[arg-type]
        if apply:
            deployments.apply(host.agent, actor)
    return newest()


def take_back(event: Event, actor: User) -> Undone:
    with transaction():
        return undo.undo(event, actor)


def standing(event: Event) -> Standing:
    return undo.standings([event])[event.id]


def test_an_edit_is_taken_back_with_one_apply_and_that_can_be_taken_back_too(save: Save, bob: User) -> None:
    host = save()
    event = edit(host, bob, forward_port=4000, websocket=True)
    undone = take_back(event, bob)
    assert (host.forward_port, host.websocket) == (3000, False)
    assert undone.command is not None
    assert [one.id for one in db.session.scalars(select(Command))] == [undone.command.id]
    assert (newest().verb, newest().command_id, newest().actor_id) == ("proxy_host:undo", undone.command.id, bob.id)
    take_back(newest(), bob)
    assert (host.forward_port, host.websocket) == (4000, True)


def test_what_somebody_changed_since_is_not_taken_back(save: Save, bob: User, alice: User) -> None:
    host = save()
    event = edit(host, bob, forward_port=4000)
    edit(host, alice, notes="mine")
    assert standing(event) is Standing.CHANGED_SINCE
    with pytest.raises(Conflict, match=r"somebody changed app\.example\.com since"):
        take_back(event, bob)
    assert (host.forward_port, host.notes) == (4000, "mine")


def test_what_nginx_says_of_a_host_keeps_nobody_from_undoing(save: Save, bob: User) -> None:
    host = save()
    event = edit(host, bob, forward_port=4000)
    with transaction():
        proxy_hosts.set_aside(host, "no such upstream")
        proxy_hosts.record(None, "refuse", host, before=None)
    take_back(event, bob)
    assert host.forward_port == 3000


def test_a_deleted_host_comes_back_and_a_new_one_goes(save: Save, bob: User) -> None:
    host = save()
    created = newest()
    with transaction():
        proxy_hosts.delete(host, bob)
    deleted = newest()
    assert standing(created) is Standing.CHANGED_SINCE
    take_back(deleted, bob)
    assert not host.is_deleted
    take_back(newest(), bob)
    assert host.is_deleted


def test_a_name_that_was_taken_meanwhile_is_a_reason_in_plain_words(save: Save, bob: User) -> None:
    host = save()
    with transaction():
        proxy_hosts.delete(host, bob)
    deleted = newest()
    save()
    with pytest.raises(Conflict, match=r"app\.example\.com"):
        take_back(deleted, bob)


def test_switching_off_and_a_certificate_are_taken_back(app: Flask, save: Save, agent: Agent, bob: User) -> None:
    host = save()
    certificate = db.session.get_one(Certificate, add_certificate(app, agent))
    with transaction():
        certificates.link(host, certificate, bob)
    linked = newest()
    with transaction():
        proxy_hosts.set_enabled(host, False, bob)
    take_back(newest(), bob)
    assert host.is_enabled
    assert standing(linked) is Standing.CHANGED_SINCE
    with transaction():
        certificates.unlink(host, bob)
    unlinked = newest()
    take_back(unlinked, bob)
    assert host.certificate_id == certificate.id


def test_undo_applies_nothing_that_others_have_only_saved(save: Save, bob: User) -> None:
    host, other = save(), save("other.example.com")
    event = edit(host, bob, apply=False, forward_port=4000)
    undone = take_back(event, bob)
    assert (undone.command, undone.waits) == (None, True)
    assert (host.forward_port, other.has_unapplied_changes) == (3000, True)
    assert not db.session.scalars(select(Command)).all()


def test_an_earlier_version_comes_back_as_a_new_change(save: Save, bob: User) -> None:
    host = save()
    first = newest()
    edit(host, bob, forward_port=4000)
    edit(host, bob, forward_host="10.0.0.6")
    with transaction():
        undone = undo.bring_back_version(first, bob)
    assert (host.forward_port, host.forward_host) == (3000, "10.0.0.5")
    assert undone.command is not None
    assert newest().verb == "proxy_host:roll-back"
    take_back(newest(), bob)
    assert (host.forward_port, host.forward_host) == (4000, "10.0.0.6")


def test_a_version_whose_certificate_is_gone_is_refused(app: Flask, save: Save, agent: Agent, bob: User) -> None:
    host = save()
    certificate = db.session.get_one(Certificate, add_certificate(app, agent))
    with transaction():
        certificates.link(host, certificate, bob)
    version = newest()
    with transaction():
        certificates.forget(certificate)
    with pytest.raises(Conflict, match=r"That version cannot come back\. This certificate was deleted meanwhile"):
        undo.bring_back_version(version, bob)
    with transaction():
        proxy_hosts.delete(host, bob)
    with pytest.raises(Conflict, match=r"was deleted\. Bring it back"):
        undo.bring_back_version(version, bob)


def test_only_events_that_hold_a_host_are_versions(save: Save, bob: User) -> None:
    host = save()
    with transaction():
        proxy_hosts.delete(host, bob)
    assert not undo.is_version(newest())
    with pytest.raises(Conflict, match="no version"):
        undo.bring_back_version(newest(), bob)


def test_a_channel_a_default_and_a_pause_are_taken_back(app: Flask, config: Config, agent: Agent, alice: User) -> None:
    set_up(config)
    default, other = authorities.list_all()[:2]
    certificate = db.session.get_one(Certificate, add_certificate(app, agent, authority_id=default.id))
    with transaction():
        channel = channels.create("news", "apprise", {"url": "jsons://127.0.0.1:9"}, None, config)
        channels.set_enabled(channel, alice, enabled=False)
        authorities.set_default(other, alice)
        certificates.pause(certificate, alice)
    for noun in ("notification_channel", "acme_authority", "certificate"):
        take_back(newest(noun), alice)
    assert (channel.is_enabled, authorities.default(), certificate.is_paused) == (True, default, False)


def test_a_default_that_moved_on_is_not_taken_back(config: Config, alice: User) -> None:
    set_up(config)
    first, second = authorities.list_all()[:2]
    with transaction():
        authorities.set_default(second, alice)
    event = newest("acme_authority")
    with transaction():
        authorities.set_default(first, alice)
    assert standing(event) is Standing.CHANGED_SINCE


def test_people_are_for_administrators_only(alice: User, bob: User, charlie: User) -> None:
    with transaction():
        accounts.disable(charlie, alice)
    event = newest("user")
    assert not undo.is_allowed(event, bob)
    with pytest.raises(Forbidden):
        take_back(event, bob)
    take_back(event, alice)
    assert charlie.is_active
    with transaction():
        accounts.set_role(charlie, Role.OPERATOR, alice)
    take_back(newest("user"), alice)
    assert charlie.role == Role.VIEWER


def test_viewers_undo_nothing_and_what_cannot_go_back_says_so(save: Save, bob: User, charlie: User) -> None:
    event = edit(save(), bob, forward_port=4000)
    with pytest.raises(Forbidden):
        take_back(event, charlie)
    with transaction():
        accounts.end_sessions(charlie)
    assert standing(newest("user")) is Standing.NEVER
    with pytest.raises(Conflict, match="cannot be undone"):
        take_back(newest("user"), bob)


def test_what_a_version_keeps_is_all_that_a_person_sets(spec: ProxyHostSpec) -> None:
    assert set(proxy_hosts.columns_of(spec)) == set(ProxyHostSpec.__dataclass_fields__)
    assert not NEUTRAL & set(WAYS)


def test_the_log_is_read_in_stretches_and_filtered(save: Save, bob: User, alice: User) -> None:
    host = save()
    for port in range(4000, 4005):
        edit(host, bob, forward_port=port)
    edit(host, alice, notes="mine")
    everything = audit.Wanted(noun="proxy_host")
    first = audit.list_stretch(everything, limit=3)
    assert (first.total, len(first.entries), first.has_newer, first.has_older) == (7, 3, False, True)
    older = audit.list_stretch(everything, older_than=first.entries[-1].event.id, limit=3)
    back = audit.list_stretch(everything, newer_than=older.entries[0].event.id, limit=3)
    assert [one.event.id for one in back.entries] == [one.event.id for one in first.entries]
    assert (older.has_newer, back.has_newer, back.has_older) == (True, False, True)
    assert audit.count(everything, newer_than=first.entries[-1].event.id) == 2
    assert audit.count(audit.Wanted(person="alice", noun="proxy_host")) == 1
    assert audit.count(audit.Wanted(person=audit.NOBODY, verb="proxy_host:create")) == 1
    assert audit.count(audit.Wanted(noun="proxy_host", object_id=str(host.id), query="APP.example")) == 7
    assert audit.count(audit.Wanted(query="100%")) == 0
    at = first.entries[0].event.at
    assert audit.count(audit.Wanted(noun="proxy_host", until=at)) == 6
    assert audit.count(audit.Wanted(noun="proxy_host", since=at)) == 1


@pytest.mark.skipif("WAYPOST_TEST_DATABASE" in os.environ, reason="reads the plans of SQLite")
@pytest.mark.parametrize(
    "wanted",
    [
        audit.Wanted(person="alice"),
        audit.Wanted(person=audit.NOBODY),
        audit.Wanted(noun="proxy_host"),
        audit.Wanted(noun="proxy_host", object_id="1"),
        audit.Wanted(verb="proxy_host:update"),
        audit.Wanted(since=utcnow(), until=utcnow()),
    ],
    ids=str,
)
def test_no_filter_walks_through_the_whole_log(alice: User, wanted: audit.Wanted) -> None:
    with counted() as asked:
        audit.count(wanted)
    [statement] = [one for one in asked if "event" in one.text]
    assert "SEARCH event USING" in plan(statement), plan(statement)
