"""A machine, and name servers that all tests of a folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.acme.check.world import DirectoryServer, Names, World, make_world, running_directory, running_names


@pytest.fixture(scope="session")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Names]:
    with running_names(tmp_path_factory.mktemp("names")) as names:
        yield names


@pytest.fixture
def world(tmp_path: Path, names: Names) -> World:
    return make_world(tmp_path, names.servers)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DirectoryServer]:
    with running_directory(tmp_path / "directory") as server:
        yield server
