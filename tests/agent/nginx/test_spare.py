"""The folder that is made ready for the next release: it saves time, and nothing that lies in it is believed.
May import: agent, tests.agent.conftest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.conftest import Bench, host
from tests.agent.nginx.cold import assert_starts_from_disk

A, B, C = "1-a.example", "2-b.example", "3-c.example"


def texts(bench: Bench, **answers: str) -> dict[str, str]:
    names = {"a": A, "b": B, "c": C}
    return {names[key]: host(bench.config, f"{key}.example", answer) for key, answer in answers.items()}


@pytest.fixture
def ready(bench: Bench) -> Bench:
    """Two hosts are live, and the next folder is ready."""
    assert bench.apply(texts(bench, a="one", b="one"), "c0").error == ""
    assert spare(bench).is_dir()
    return bench


def spare(bench: Bench) -> Path:
    return bench.layout.releases / "next.tmp"


def inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (folder / "hosts").iterdir()}


def test_the_folder_made_ready_becomes_the_next_release_and_only_the_change_is_written(ready: Bench) -> None:
    before, folder = inodes(ready.layout.current), spare(ready).stat().st_ino
    assert ready.apply(texts(ready, a="two", b="one"), "c1").error == ""
    after = inodes(ready.layout.current)
    assert ready.layout.current.stat().st_ino == folder
    assert after[f"{B}.conf"] == before[f"{B}.conf"]
    assert after[f"{A}.conf"] != before[f"{A}.conf"]
    assert_starts_from_disk(ready, a_example="two", b_example="one")


def test_hosts_come_and_go(ready: Bench) -> None:
    assert ready.apply(texts(ready, b="one", c="new"), "c1").error == ""
    assert sorted(inodes(ready.layout.current)) == [f"{B}.conf", f"{C}.conf"]
    assert ready.apply(texts(ready, a="back"), "c2").error == ""
    assert sorted(inodes(ready.layout.current)) == [f"{A}.conf"]
    assert_starts_from_disk(ready, a_example="back")


def _edit(folder: Path) -> None:
    (folder / f"hosts/{B}.conf").write_text("broken")


def _replace(folder: Path) -> None:
    (folder / f"hosts/{B}.conf").unlink()
    (folder / f"hosts/{B}.conf").write_text("broken")


def _add(folder: Path) -> None:
    (folder / "hosts/0-more.conf").write_text("broken")
    (folder / "nginx.conf").mkdir()


def _link(folder: Path) -> None:
    (folder / f"hosts/{B}.conf").unlink()
    (folder / f"hosts/{B}.conf").symlink_to("/etc/passwd")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("tamper", [_edit, _replace, _add, _link, _remove])
def test_what_somebody_did_to_the_folder_made_ready_is_not_taken_over(
    ready: Bench, tamper: Callable[[Path], None]
) -> None:
    tamper(spare(ready))
    assert ready.apply(texts(ready, a="two", b="one"), "c1").error == ""
    current = ready.layout.current
    assert (current / f"hosts/{B}.conf").read_text() == host(ready.config, "b.example", "one")
    assert sorted(inodes(current)) == [f"{A}.conf", f"{B}.conf"]
    assert_starts_from_disk(ready, a_example="two", b_example="one")


@pytest.mark.parametrize("edit", [_edit, _replace])
def test_a_hand_edit_of_a_live_file_is_not_carried_over(ready: Bench, edit: Callable[[Path], None]) -> None:
    edit(ready.layout.current)
    assert ready.apply(texts(ready, a="two", b="one"), "c1").error == ""
    assert (ready.layout.current / f"hosts/{B}.conf").read_text() == host(ready.config, "b.example", "one")
    assert "was edited by hand" in ready.text("c1")


def test_an_edit_that_keeps_size_and_time_is_not_carried_over(ready: Bench) -> None:
    file = ready.layout.current / f"hosts/{B}.conf"
    facts = file.stat()
    file.write_text(file.read_text().replace("one", "bad"))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert ready.apply(texts(ready, a="two", b="one"), "c1").error == ""
    assert "one" in (ready.layout.current / f"hosts/{B}.conf").read_text()


def test_files_that_nobody_touched_are_not_read_again(ready: Bench) -> None:
    big = {f"{n}-h{n}.example": host(ready.config, f"h{n}.example", "x" * 2000) for n in range(300)}
    assert ready.apply(big, "c1").error == ""
    before = _bytes_read()
    assert ready.apply({**big, A: host(ready.config, "a.example")}, "c2").error == ""
    assert _bytes_read() - before < 300 * 2000 / 2


def test_going_back_to_a_release_that_is_there_reads_only_what_differs(ready: Bench) -> None:
    big = {f"{n}-h{n}.example": host(ready.config, f"h{n}.example", "x" * 2000) for n in range(300)}
    one, two = ({**big, A: host(ready.config, "a.example", word)} for word in ("one", "two"))
    assert ready.apply(one, "c1").error == ""
    name = ready.layout.current.readlink()
    assert ready.apply(two, "c2").error == ""
    before = _bytes_read()
    assert ready.apply(one, "c3").error == ""
    assert ready.layout.current.readlink() == name
    assert ready.apply(two, "c4").error == ""
    assert _bytes_read() - before < 300 * 2000 / 2
    assert_starts_from_disk(ready, a_example="two", h299_example="x" * 2000)


def _add_host(folder: Path) -> None:
    (folder / "hosts/0-more.conf").write_text("broken")


@pytest.mark.parametrize("tamper", [_edit, _replace, _link, _add_host])
def test_a_release_of_before_that_somebody_touched_is_not_gone_back_to(
    ready: Bench, tamper: Callable[[Path], None]
) -> None:
    old = ready.layout.current.resolve()
    assert ready.apply(texts(ready, a="two", b="two"), "c1").error == ""
    tamper(old)
    assert ready.apply(texts(ready, a="one", b="one"), "c2").error == ""
    assert ready.layout.current.resolve() != old
    assert (ready.layout.current / f"hosts/{B}.conf").read_text() == host(ready.config, "b.example", "one")
    assert_starts_from_disk(ready, a_example="one", b_example="one")


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])
