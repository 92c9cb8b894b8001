"""One Pebble per module, and a fresh agent beside it for each test.
May import: tests.agent.acme."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.acme.order import Authorities
from tests.agent.acme.front import Front, running_front
from tests.agent.acme.ordering import Log, Place, running_place


@pytest.fixture(scope="module")
def pebble_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The machine's own Pebble."""
    with running_place(tmp_path_factory.mktemp("place")) as place:
        yield place


@pytest.fixture
def place(pebble_place: Place, tmp_path: Path) -> Place:
    """An agent that never asked for anything; nothing of other tests is left in DNS or on the web server."""
    pebble_place.webroot.answer = None
    engine = Authorities(tmp_path / "acme", pebble_place.webroot.folder, "waypost-tests")
    return dataclasses.replace(pebble_place, folder=tmp_path, authorities=engine, log=Log(), lines=[])


@pytest.fixture
def front(place: Place, tmp_path: Path) -> Iterator[Front]:
    """A front before Pebble that can be told to refuse."""
    with running_front(tmp_path / "front", place.pebble) as front:
        yield front
