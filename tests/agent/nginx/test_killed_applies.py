"""The agent is killed at each phase of an apply: the next start ends it applied or rolled back, and nothing between.
May import: agent, tests.agent."""

from __future__ import annotations

import signal
import socket

import pytest

from agent.nginx.outcome import Outcome
from tests.agent.conftest import Bench, host
from tests.agent.nginx.cold import assert_starts_from_disk
from tests.agent.nginx.killed_apply import apply_and_die

BEFORE = ["apply:fetched", "apply:staged", "apply:tested", "apply:intent"]
AFTER = ["apply:switched", "apply:hup_sent", "apply:verified", "apply:applied_journalled"]


@pytest.fixture
def kept(bench: Bench) -> Bench:
    assert bench.apply({"1-a.example": host(bench.config, "a.example", "kept")}, "c0").error == ""
    return bench


def next_start(bench: Bench) -> Outcome | None:
    """What a start of the agent makes of it; None when it runs the command again."""
    entry = bench.journal.last_apply("c1")
    assert entry is not None
    bench.applier.prune()
    return bench.recover(entry)


@pytest.mark.parametrize("failpoint", [*BEFORE, *AFTER])
def test_a_killed_apply_ends_applied_or_untouched(kept: Bench, failpoint: str) -> None:
    new = {"1-a.example": host(kept.config, "a.example", "new")}
    assert apply_and_die(kept, new, failpoint) == -signal.SIGKILL
    outcome = next_start(kept)
    if failpoint in BEFORE:
        assert outcome is None
        assert kept.get("a.example") == (200, "kept")
        assert_starts_from_disk(kept, a_example="kept")
        assert kept.apply(new, "c1").error == ""
    else:
        assert outcome is not None
        assert outcome.error == ""
    assert kept.get("a.example") == (200, "new")
    assert_starts_from_disk(kept, a_example="new")


@pytest.mark.parametrize("failpoint", [*AFTER[:2], "rollback:switched", "rollback:verified"])
def test_a_killed_apply_that_nginx_refuses_ends_rolled_back(kept: Bench, failpoint: str) -> None:
    with socket.create_server(("0.0.0.0", kept.config.https_port)):
        taken = {"1-a.example": host(kept.config, "a.example", "new", kept.config.https_port)}
        assert apply_and_die(kept, taken, failpoint) == -signal.SIGKILL
        outcome = next_start(kept)
        assert outcome is not None
        assert outcome.rolled_back
        assert kept.get("a.example") == (200, "kept")
        assert_starts_from_disk(kept, a_example="kept")


@pytest.mark.parametrize("failpoint", [*BEFORE, *AFTER[:2]])
def test_nginx_starts_from_disk_at_once_when_the_agent_does_not_come_back(kept: Bench, failpoint: str) -> None:
    """The machine lost its power: what lies there is all or nothing."""
    new = {"1-a.example": host(kept.config, "a.example", "new")}
    assert apply_and_die(kept, new, failpoint) == -signal.SIGKILL
    assert_starts_from_disk(kept, a_example="kept" if failpoint in BEFORE else "new")
