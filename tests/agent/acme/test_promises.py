"""The tables of promises.py are kept: every test that they name is there, and every cause has one.
May import: agent.acme.causes, tests.agent.acme.promises."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from agent.acme.causes import CAUSES
from tests.agent.acme.promises import BEHAVIOURS, CAUSES_PRODUCED, path_and_function

FOLDER = Path(__file__).parents[1]


@cache
def collected(path: str) -> frozenset[str]:
    """The tests of a file, as pytest finds them."""
    tree = ast.parse((FOLDER / path).read_text())
    return frozenset(n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_"))


def missing(tests: Iterable[str]) -> list[str]:
    found = ((test, *path_and_function(test)) for test in tests)
    return [test for test, path, function in found if function not in collected(path)]


def test_every_behaviour_is_proved_by_a_test_that_is_there_or_says_why_it_is_not_built() -> None:
    assert sorted(BEHAVIOURS) == list(range(1, 58))
    assert missing(test for behaviour in BEHAVIOURS.values() for test in behaviour.tests) == []
    assert [number for number, behaviour in BEHAVIOURS.items() if bool(behaviour.tests) == bool(behaviour.why)] == []
    assert sum(1 for behaviour in BEHAVIOURS.values() if behaviour.tests) >= 50


def test_every_cause_is_produced_by_a_test_that_is_there() -> None:
    assert set(CAUSES_PRODUCED) == set(CAUSES)
    assert missing(test for produced in CAUSES_PRODUCED.values() for test in produced.tests) == []
    assert [cause for cause, produced in CAUSES_PRODUCED.items() if not produced.tests] == []
    assert {produced.by for produced in CAUSES_PRODUCED.values()} == {"authority", "front", "check", "here"}


def test_a_test_that_produces_a_cause_names_it() -> None:
    """Somewhere in its file: in its body, or in a table of it."""
    for cause, produced in CAUSES_PRODUCED.items():
        texts = [(FOLDER / path_and_function(test)[0]).read_text() for test in produced.tests]
        assert any(f'"{cause}"' in text for text in texts), cause
