"""The audit log."""

from __future__ import annotations

import pytest

from panel.extensions import db
from panel.models import Event, User
from panel.services import events

pytestmark = pytest.mark.usefixtures("context")


def test_an_event_keeps_who_did_what_before_and_after(alice: User) -> None:
    events.record(alice, "proxy_host", "update", 7, "app.example.com", before={"port": 80}, after={"port": 81})
    event = db.session.query(Event).one()
    assert (event.actor_id, event.noun, event.verb, event.object_id) == (
        alice.id,
        "proxy_host",
        "proxy_host:update",
        "7",
    )
    assert (event.before, event.after) == ({"port": 80}, {"port": 81})


def test_the_panel_itself_has_no_actor() -> None:
    assert events.record(None, "agent", "join", "x").actor_id is None
