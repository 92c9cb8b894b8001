"""Nothing is ordered that could not be saved: real folders that cannot be written, a disk that takes nothing more.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.acme.check.storage import check_storage
from agent.acme.spec import Finding, Level
from tests.agent.acme.check.world import World, is_error, only


def check(world: World, folder: Path) -> Finding:
    world.config = replace(world.config, letsencrypt_dir=folder)
    return only(check_storage(world.question(world.spec("a.test"))))


@contextmanager
def full_disk() -> Iterator[None]:
    """The kernel refuses every byte that this process writes into a file."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_folder_that_can_be_written_is_fine_and_keeps_nothing_of_the_check(world: World, tmp_path: Path) -> None:
    for name in ("live", "archive", "renewal"):
        (tmp_path / "le" / name).mkdir(parents=True)
    assert check(world, tmp_path / "le").level is Level.OK
    assert [path for path in (tmp_path / "le").rglob("*") if path.is_file()] == []


def test_a_folder_that_is_not_there_yet_is_fine_when_it_can_be_made_and_is_not_made(
    world: World, tmp_path: Path
) -> None:
    assert check(world, tmp_path / "new" / "le").level is Level.OK
    assert not (tmp_path / "new").exists()


def test_a_read_only_file_system_is_an_error_with_its_path(world: World) -> None:
    finding = check(world, Path("/proc/letsencrypt"))
    assert is_error(finding, "storage")
    assert "/proc cannot be written" in finding.sentence
    assert finding.next_step


def test_a_folder_of_the_layout_that_is_a_file_is_an_error(world: World, tmp_path: Path) -> None:
    (tmp_path / "le" / "archive").mkdir(parents=True)
    (tmp_path / "le" / "live").write_text("")
    finding = check(world, tmp_path / "le")
    assert is_error(finding, "storage")
    assert str(tmp_path / "le" / "live") in finding.sentence


@pytest.mark.parametrize("folder", ["", "live", "archive", "renewal"])
def test_a_dangling_link_in_the_layout_is_an_error(world: World, tmp_path: Path, folder: str) -> None:
    link = tmp_path / "le" / folder if folder else tmp_path / "le"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "gone")
    assert is_error(check(world, tmp_path / "le"), "storage")


def test_a_disk_that_takes_nothing_more_is_an_error(world: World, tmp_path: Path) -> None:
    with full_disk():
        finding = check(world, tmp_path)
    assert is_error(finding, "storage")
    assert list(tmp_path.glob(".waypost-*")) == []
