"""Failpoints: armed by one text, passed for nothing otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

import agent.failpoints
import panel.failpoints

PLACES = [(agent.failpoints, "after_journal"), (agent.failpoints, "apply:switched"), (panel.failpoints, "before_ack")]


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    agent.failpoints.arm("")
    panel.failpoints.arm("")


@pytest.mark.parametrize(("module", "name"), PLACES)
def test_only_the_named_place_breaks_and_only_at_its_passage(module: ModuleType, name: str) -> None:
    module.arm(f"{name}:raise:2")
    for other in module.NAMES - {name}:
        module.hit(other)
    module.hit(name)
    with pytest.raises(module.FailpointReached):
        module.hit(name)
    module.hit(name)


@pytest.mark.parametrize("module", [agent.failpoints, panel.failpoints])
@pytest.mark.parametrize("text", ["no_such_place", "after_journal:explode", "before_ack:raise:0", ":"])
def test_a_place_that_does_not_exist_is_refused(module: ModuleType, text: str) -> None:
    with pytest.raises(module.NoSuchFailpoint):
        module.arm(text)
