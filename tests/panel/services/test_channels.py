"""Channels: who changes them, and where their secrets can be seen (nowhere)."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select

from panel.config import Config
from panel.errors import Forbidden, Invalid, NotFound
from panel.extensions import db, transaction
from panel.models import Event, NotificationChannel, User
from panel.services import channels
from panel.vault import VaultError
from tests.panel.services.news import MAIL, add_channel

pytestmark = pytest.mark.usefixtures("context")
SECRET = "s3cret-Passw0rd"
WITH_LOGIN = {"username": "waypost", "password": SECRET}


def change(channel: NotificationChannel, config: Config, **values: str) -> None:
    with transaction():
        channels.update_settings(channel, values.pop("name", channel.name), {**MAIL, **values}, None, config)


def test_a_secret_is_sealed_and_in_no_event_and_no_repr(config: Config) -> None:
    channel = add_channel("mail", config, **WITH_LOGIN)
    stored = channels.open_stored(channel, config)
    assert stored.values["password"] == SECRET
    assert set(stored.set_at) == {"password"}
    assert SECRET not in channel.sealed_settings
    assert SECRET not in repr(stored)
    assert SECRET not in repr(channel)
    for event in db.session.scalars(select(Event)):
        assert SECRET not in f"{event.before} {event.after}"


def test_a_secret_that_is_left_empty_stays(config: Config) -> None:
    channel = add_channel("mail", config, **WITH_LOGIN)
    set_at = channels.open_stored(channel, config).set_at["password"]
    change(channel, config, username="waypost", recipients="other@example.com")
    stored = channels.open_stored(channel, config)
    assert (stored.values["password"], stored.values["recipients"]) == (SECRET, "other@example.com")
    assert stored.set_at["password"] == set_at


@pytest.mark.parametrize("moved", [{"server": "localhost"}, {"port": "2526"}, {"security": "tls"}])
def test_a_stored_secret_cannot_be_sent_elsewhere(config: Config, moved: dict[str, str]) -> None:
    channel = add_channel("mail", config, **WITH_LOGIN)
    with pytest.raises(Invalid, match="Enter it again") as caught:
        change(channel, config, username="waypost", **moved)
    assert caught.value.field == "password"
    change(channel, config, **WITH_LOGIN, **moved)


def test_another_secret_key_opens_nothing_and_all_must_be_entered_again(config: Config) -> None:
    channel = add_channel("mail", config, **WITH_LOGIN)
    other = dataclasses.replace(config, secret_key="another-secret-key-0123456789-abcdefgh")
    with pytest.raises(VaultError, match="enter the secret again"):
        channels.open_stored(channel, other)
    with pytest.raises(Invalid, match="Enter the password"):
        change(channel, other, username="waypost")
    change(channel, other, **WITH_LOGIN)
    assert channels.open_stored(channel, other).values["password"] == SECRET


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "taken"}, "name"),
        ({"server": ""}, "server"),
        ({"security": "rot13"}, "security"),
        ({"recipients": "x" * 20_001}, "recipients"),
    ],
)
def test_what_is_refused_stands_at_its_field(config: Config, values: dict[str, str], field: str) -> None:
    add_channel("taken", config)
    with pytest.raises(Invalid) as caught, transaction():
        channels.create(values.get("name", "mail"), "smtp", {**MAIL, **values}, None, config)
    assert caught.value.field == field
    assert len(channels.list_all()) == 1


def test_an_unknown_kind_and_an_unknown_channel(config: Config) -> None:
    with pytest.raises(NotFound), transaction():
        channels.create("mail", "pigeon", {}, None, config)
    with pytest.raises(NotFound):
        channels.get(7)


def test_only_administrators_change_channels(bob: User, config: Config) -> None:
    channel = add_channel("mail", config)
    for verb in (
        lambda: channels.create("other", "smtp", MAIL, bob, config),
        lambda: channels.update_settings(channel, "other", MAIL, bob, config),
        lambda: channels.set_enabled(channel, bob, enabled=False),
        lambda: channels.delete(channel, bob),
    ):
        with pytest.raises(Forbidden), transaction():
            verb()
    assert channels.get(channel.id).is_enabled


def test_every_change_is_an_event(alice: User, config: Config) -> None:
    with transaction():
        channel = channels.create("mail", "smtp", MAIL, alice, config)
    change(channel, config, name="post")
    with transaction():
        channels.set_enabled(channel, alice, enabled=False)
        channels.delete(channel, alice)
    verbs = db.session.scalars(select(Event.verb).order_by(Event.id)).all()
    assert [verb.partition(":")[2] for verb in verbs] == ["create", "update", "disable", "delete"]
    assert channels.list_all() == []
