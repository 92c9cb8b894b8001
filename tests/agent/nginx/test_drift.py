"""Drift: a hand edit is noticed, described, and told from what nginx has loaded; nothing is done about it.
May import: agent, tests.agent.conftest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.nginx import drift as drift_module
from agent.nginx.drift import Drift, DriftedFile, DriftWatch
from agent.nginx.release import Releases
from tests.agent.conftest import Bench, host, make_bundle, wait_for
from tests.agent.nginx.cold import assert_starts_from_disk

PATH = "hosts/1-a.example.conf"


@pytest.fixture
def watch(bench: Bench) -> DriftWatch:
    """Watches one applied host."""
    assert bench.apply({"1-a.example": host(bench.config, "a.example", "right")}, "c0").error == ""
    watch = DriftWatch(bench.layout, bench.nginx, Releases(bench.layout))
    assert watch.look() == Drift()
    return watch


def only(watch: DriftWatch) -> DriftedFile:
    (found,) = watch.look().files
    return found


def edit(bench: Bench, text: str = "wrong", path: str = PATH) -> Path:
    file = bench.layout.current / path
    file.write_text(host(bench.config, "a.example", text))
    return file


def test_an_edit_is_told_with_its_text_and_that_nginx_has_not_loaded_it(bench: Bench, watch: DriftWatch) -> None:
    file = edit(bench)
    found = only(watch)
    assert (found.path, found.kind, found.loaded, found.truncated) == (PATH, "changed", False, False)
    assert found.text == file.read_text()
    assert found.sha256 == next(f.sha256 for f in make_bundle(bench.config, {"1-a.example": right(bench)})[0].files[2:])
    assert bench.get("a.example") == (200, "right")


def right(bench: Bench) -> str:
    return host(bench.config, "a.example", "right")


def test_an_edit_that_nginx_has_loaded_is_said_to_serve(bench: Bench, watch: DriftWatch) -> None:
    edit(bench)
    bench.nginx.reload()
    wait_for(lambda: bench.get("a.example") == (200, "wrong"))
    wait_for(lambda: only(watch).loaded)


def test_an_edit_that_nginx_refuses_is_not_said_to_serve(bench: Bench, watch: DriftWatch) -> None:
    (bench.layout.current / PATH).write_text("broken;\n")
    mark = bench.nginx.mark_log()
    bench.nginx.reload()
    wait_for(lambda: any(line.level == "emerg" for line in bench.nginx.read_log(mark)))
    assert not only(watch).loaded
    bench.stop()
    assert not only(watch).loaded


def test_files_that_are_gone_or_that_nobody_wrote_are_told_too(bench: Bench, watch: DriftWatch) -> None:
    (bench.layout.current / PATH).unlink()
    edit(bench, "extra", "hosts/99-extra.conf")
    (bench.layout.current / "notes.txt").write_text("nginx does not read this")
    kinds = {found.path: found.kind for found in watch.look().files}
    assert kinds == {PATH: "missing", "hosts/99-extra.conf": "added"}


def test_the_agents_own_file_is_told_with_what_it_was(bench: Bench, watch: DriftWatch) -> None:
    original = bench.layout.conf.read_text()
    bench.layout.conf.write_text(original + "# a note\n")
    found = only(watch)
    assert (found.path, found.original, found.text) == ("nginx.conf", original, original + "# a note\n")


def test_an_edit_that_keeps_size_and_time_is_found_by_reading_everything(
    bench: Bench, watch: DriftWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bench.layout.current / PATH
    facts = file.stat()
    file.write_text(file.read_text().replace("right", "wrong"))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert watch.look() == Drift()
    monkeypatch.setattr(drift_module, "FULL_SECONDS", 0.0)
    assert only(watch).path == PATH


def test_a_link_in_place_of_a_file_is_not_followed(bench: Bench, watch: DriftWatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (bench.layout.current / PATH).unlink()
    (bench.layout.current / PATH).symlink_to(secret)
    found = only(watch)
    assert (found.kind, found.text) == ("missing", "")


def test_what_is_told_is_bounded(bench: Bench, watch: DriftWatch) -> None:
    for number in range(100, 170):
        (bench.layout.current / f"hosts/{number}-x.conf").write_text("x" * 40_000)
    drift = watch.look()
    assert (len(drift.files), drift.more) == (drift_module.MAX_FILES, 20)
    assert sum(len(found.text) for found in drift.files) <= drift_module.MAX_TOTAL
    assert all(found.truncated for found in drift.files)


def test_after_the_next_apply_all_is_as_it_was_written_and_the_edit_was_mentioned(
    bench: Bench, watch: DriftWatch
) -> None:
    edit(bench)
    hosts = {"1-a.example": right(bench), "2-b.example": host(bench.config, "b.example")}
    assert bench.apply(hosts, "c1").error == ""
    assert f"{PATH} was edited by hand" in bench.text("c1")
    assert watch.look() == Drift()
    assert_starts_from_disk(bench, a_example="right", b_example="hello")


def test_putting_back_what_was_live_works_for_every_kind_of_edit(bench: Bench, watch: DriftWatch) -> None:
    edit(bench)
    (bench.layout.current / "default.conf").unlink()
    edit(bench, "extra", "hosts/99-extra.conf")
    bench.layout.conf.write_text(bench.layout.conf.read_text() + "# a note\n")
    assert len(watch.look().files) == 4
    assert bench.apply({"1-a.example": right(bench)}, "c1").error == ""
    assert watch.look() == Drift()
    assert_starts_from_disk(bench, a_example="right")


def test_a_second_look_at_files_that_nobody_touched_reads_none_of_them(bench: Bench) -> None:
    hosts = {f"{n}-h{n}.example": host(bench.config, f"h{n}.example", "x" * 1000) for n in range(200)}
    assert bench.apply(hosts).error == ""
    watch = DriftWatch(bench.layout, bench.nginx, Releases(bench.layout))
    first = bytes_read(watch.look)
    assert first > 200 * 1000
    assert bytes_read(watch.look) < first / 20


def bytes_read(work: Callable[[], object]) -> int:
    """What this process read from files meanwhile, as the kernel counts it."""
    counter = Path("/proc/self/io")

    def count() -> int:
        return int(counter.read_text().split()[1])

    before = count()
    work()
    return count() - before
