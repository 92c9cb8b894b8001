"""Files that somebody changed by hand on an agent's machine: kept with their difference, put back when wanted.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from panel.errors import Conflict, Forbidden
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind, Event, ProxyHost, User
from panel.models.types import utcnow
from panel.services import commands, drift
from panel.services.drift import Edit
from tests.panel.services.deploying import apply, prove, send, update

pytestmark = pytest.mark.usefixtures("context")
NOW = utcnow()


def edited(host: ProxyHost, *, is_loaded: bool = False, text: str = "# a note\n", sha256: str = "") -> Edit:
    known = sha256 or host.live_sha256
    return Edit(host.live_path, "changed", known, text, "", is_truncated=False, is_loaded=is_loaded)


def report(agent: Agent, *edits: Edit, after: float = 0.0) -> Command | None:
    with transaction():
        return drift.report(agent, edits, 0, NOW + timedelta(seconds=after))


def verbs() -> list[str]:
    return [verb for verb in db.session.scalars(select(Event.verb).order_by(Event.id)) if verb.startswith("agent:")]


def applies(agent: Agent) -> int:
    query = select(Command).where(Command.agent_id == agent.id, Command.kind == CommandKind.APPLY_CONFIG)
    return len(db.session.scalars(query).all())


@pytest.fixture
def live(agent: Agent, save: Callable[..., ProxyHost]) -> ProxyHost:
    host = save()
    apply(agent)
    return host


def test_an_edit_is_kept_as_a_difference_and_nothing_is_done(agent: Agent, live: ProxyHost) -> None:
    assert report(agent, edited(live)) is None
    (entry,) = agent.drift
    assert (entry["path"], entry["host_id"], entry["is_loaded"]) == (live.live_path, live.id, False)
    assert ["+", "# a note"] in entry["diff"]
    assert ["-", "    server 10.0.0.5:3000;"] in entry["diff"]
    assert verbs() == ["agent:drift"]
    assert applies(agent) == 1


def test_the_same_report_again_and_a_reload_are_no_new_edits_and_an_empty_one_ends_it(
    agent: Agent, live: ProxyHost
) -> None:
    report(agent, edited(live))
    report(agent, edited(live))
    report(agent, edited(live, is_loaded=True))
    assert agent.drift[0]["is_loaded"]
    assert verbs() == ["agent:drift"]
    report(agent)
    assert (agent.drift, agent.drift_at) == ([], None)
    assert verbs() == ["agent:drift", "agent:drift-end"]
    (kept,) = drift.earlier(agent)
    assert kept.after is not None
    assert ["+", "# a note"] in kept.after["files"][0]["diff"]


def test_putting_back_applies_exactly_what_was_live_and_no_saved_change(
    agent: Agent, live: ProxyHost, bob: User
) -> None:
    revision = agent.applied_revision
    update(live, forward_port=4000)
    report(agent, edited(live))
    with transaction():
        command = drift.put_back(agent, bob)
    prove(send(command))
    assert command.payload["revision"] == revision
    assert agent.applied_revision == revision
    assert agent.has_unapplied_changes
    assert verbs() == ["agent:drift", "agent:put-back"]


def test_an_apply_under_way_is_what_puts_back(agent: Agent, live: ProxyHost, bob: User) -> None:
    with transaction():
        first = drift.put_back(agent, bob)
        assert drift.put_back(agent, bob) is first


def test_an_agent_that_heals_puts_back_at_once_but_does_not_go_round_in_circles(agent: Agent, live: ProxyHost) -> None:
    agent.heals_drift = True
    command = report(agent, edited(live))
    assert command is not None
    assert ["+", "# a note"] in (drift.earlier(agent)[0].after or {})["files"][0]["diff"]
    prove(send(command))
    report(agent, after=10)
    assert report(agent, edited(live), after=20) is None
    report(agent, after=30)
    again = report(agent, edited(live), after=1000)
    assert again is not None


def test_switching_healing_on_puts_back_what_differs_now(agent: Agent, live: ProxyHost, bob: User) -> None:
    report(agent, edited(live))
    with transaction():
        drift.set_healing(agent, is_on=True, actor=bob)
    assert agent.heals_drift
    assert commands.find_open(agent.id, CommandKind.APPLY_CONFIG) is not None
    with transaction():
        drift.set_healing(agent, is_on=False, actor=bob)
    assert verbs() == ["agent:drift", "agent:heal", "agent:put-back", "agent:heal"]


def test_an_agent_learns_nothing_by_naming_a_hash_that_is_not_its_own(agent: Agent, live: ProxyHost) -> None:
    report(agent, Edit("hosts/9-x.conf", "changed", live.live_sha256, "x", "", is_truncated=False, is_loaded=False))
    assert agent.drift[0]["diff"] == [["@", "@ -0,0 +1 @@"], ["+", "x"]]


def test_only_who_may_edit_puts_back_and_only_what_was_applied(agent: Agent, charlie: User, bob: User) -> None:
    with pytest.raises(Forbidden):
        drift.put_back(agent, charlie)
    with pytest.raises(Forbidden):
        drift.set_healing(agent, is_on=True, actor=charlie)
    with pytest.raises(Conflict, match="Nothing was applied"):
        drift.put_back(agent, bob)


def test_a_difference_without_end_is_cut(agent: Agent, live: ProxyHost) -> None:
    report(agent, edited(live, text="\n".join(map(str, range(5000)))))
    assert len(agent.drift[0]["diff"]) == drift.MAX_LINES
    assert agent.drift[0]["is_cut"]
