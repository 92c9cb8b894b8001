"""Applying against a real nginx: what is live, what is said, what is put back.
May import: agent, tests.agent.conftest."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import Cancelled
from agent.journal import ApplyEntry
from agent.nginx.bundle import Bundle
from agent.nginx.guard import Guard
from agent.nginx.release import Releases
from agent.nginx.stage import Stager
from tests.agent.conftest import Bench, Contents, host, make_bundle


def test_an_applied_host_is_served_and_its_revision_is_proved(bench: Bench) -> None:
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example", "first")})
    assert outcome.error == ""
    assert bench.get("a.example") == (200, "first")
    assert bench.get("unknown.example")[0] == 404
    assert bench.nginx.facts().applied_revision == outcome.revision
    stages = [stage for stage, level, _ in bench.lines() if level == "stage"]
    assert stages == ["fetch", "test", "switch", "reload", "prove"]
    assert (entry := bench.journal.last_apply()) is not None
    assert entry.phase == "applied"


def test_only_contents_that_are_not_here_are_asked_for_and_the_rest_is_linked(bench: Bench) -> None:
    first = bench.apply({"1-a.example": host(bench.config, "a.example")})
    second = bench.apply(
        {"1-a.example": host(bench.config, "a.example"), "2-b.example": host(bench.config, "b.example")}, "c2"
    )
    assert len(bench.asked) == 1
    old = bench.layout.release(first.revision) / "hosts/1-a.example.conf"
    new = bench.layout.release(second.revision) / "hosts/1-a.example.conf"
    assert old.samefile(new)


def test_a_file_edited_by_hand_is_fetched_again(bench: Bench) -> None:
    hosts = {"1-a.example": host(bench.config, "a.example", "right")}
    first = bench.apply(hosts)
    edited = bench.layout.release(first.revision) / "hosts/1-a.example.conf"
    edited.write_text(host(bench.config, "a.example", "wrong"))
    assert bench.apply(hosts, "c2").error == ""
    assert bench.get("a.example") == (200, "right")


def test_every_refused_file_is_named_and_nothing_live_is_touched(bench: Bench) -> None:
    good = bench.apply({"1-a.example": host(bench.config, "a.example", "kept")})
    bad = f"server {{\n    listen {bench.config.http_port};\n    server_name b.example;\n    proxy_pass_header;\n}}\n"
    outcome = bench.apply(
        {
            "1-a.example": host(bench.config, "a.example", "changed"),
            "2-b.example": bad,
            "3-c.example": bad.replace("b.example", "c.example"),
        },
        "c2",
    )
    assert outcome.failed_stage == "test"
    assert [(e.path, e.line) for e in outcome.file_errors] == [
        ("hosts/2-b.example.conf", 4),
        ("hosts/3-c.example.conf", 4),
    ]
    assert "invalid number of arguments" in outcome.file_errors[0].text
    assert "one more file" in outcome.error
    assert str(bench.layout.root) not in outcome.error + bench.text("c2")
    assert bench.get("a.example") == (200, "kept")
    assert outcome.revision == good.revision
    assert not bench.layout.release(make_bundle(bench.config)[0].revision).exists()


def test_a_port_in_use_is_rolled_back_with_nginx_s_own_words(bench: Bench) -> None:
    good = bench.apply({"1-a.example": host(bench.config, "a.example", "kept")})
    with socket.create_server(("0.0.0.0", bench.config.https_port)):
        outcome = bench.apply({"1-a.example": host(bench.config, "a.example", "new", bench.config.https_port)}, "c2")
    assert outcome.failed_stage == "reload"
    assert outcome.rolled_back
    assert not outcome.degraded
    assert "Address already in use" in outcome.error
    assert "still could not bind()" in bench.text("c2")
    assert "no reload was needed" in bench.text("c2")
    assert outcome.revision == good.revision
    assert bench.get("a.example") == (200, "kept")
    current = Releases(bench.layout).current()
    assert current is not None
    assert current.name == good.revision


def test_after_a_failure_the_next_apply_works(bench: Bench) -> None:
    with socket.create_server(("0.0.0.0", bench.config.https_port)):
        bench.apply({"1-a.example": host(bench.config, "a.example", "new", bench.config.https_port)})
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example", "new", bench.config.https_port)}, "c2")
    assert outcome.error == ""


def test_a_zone_that_nginx_cannot_change_is_rolled_back(bench: Bench) -> None:
    cache = "ssl_session_cache shared:one:1m;\n"
    assert bench.apply({}, http=cache).error == ""
    outcome = bench.apply({}, "c2", http=cache.replace("1m", "2m"))
    assert outcome.error == "" or outcome.rolled_back


def test_a_stopped_nginx_gives_a_sentence_that_says_what_to_do(stopped_bench: Bench) -> None:
    outcome = stopped_bench.apply({"1-a.example": host(stopped_bench.config, "a.example")})
    assert "nginx is not running on this machine. Start it: nginx -c" in outcome.error
    assert outcome.failed_stage == "switch"
    current = Releases(stopped_bench.layout).current()
    assert current is not None
    assert current.bundle.revision == "none"
    assert stopped_bench.nginx.facts().problem
    assert not stopped_bench.nginx.facts().running


def test_a_missing_nginx_is_said(bench: Bench) -> None:
    broken = replace(bench.config, nginx_binary="/nonexistent/nginx")
    facts = type(bench.nginx)(broken, bench.layout).facts()
    assert "was not found" in facts.problem
    assert facts.version == ""


def test_a_cancelled_apply_touches_nothing(bench: Bench, guard: Guard) -> None:
    guard.cancelled.set()
    bundle, contents = make_bundle(bench.config, {"1-a.example": host(bench.config, "a.example")})
    with pytest.raises(Cancelled):
        bench.apply_bundle(bundle, contents, guard=guard)
    assert bench.nginx.revision() == "none"


def test_an_apply_that_was_cut_off_after_the_switch_is_proved_at_the_next_start(bench: Bench) -> None:
    bundle = _stage_only(bench)
    entry = ApplyEntry("c1", bundle.revision, bundle.revision, "none", "switch")
    Releases(bench.layout).switch(bundle.revision)
    outcome = bench.recover(entry, 5)
    assert outcome is not None
    assert (outcome.error, outcome.revision) == ("", bundle.revision)
    assert bench.get("a.example") == (200, "hello")


def test_a_cut_off_apply_that_nginx_refuses_is_rolled_back_at_the_next_start(bench: Bench) -> None:
    bundle = _stage_only(bench)
    release = bench.layout.release(bundle.revision) / "hosts/1-a.example.conf"
    release.write_text("nonsense;\n")
    Releases(bench.layout).switch(bundle.revision)
    entry = ApplyEntry("c1", bundle.revision, bundle.revision, "none", "reload")
    outcome = bench.recover(entry, 5)
    assert outcome is not None
    assert outcome.rolled_back
    assert outcome.file_errors[0].path == "hosts/1-a.example.conf"
    assert bench.layout.current.readlink() == Path("releases/none")
    assert bench.nginx.revision() == "none"


def test_an_apply_that_was_cut_off_before_the_switch_is_run_again(bench: Bench) -> None:
    bundle = _stage_only(bench)
    for phase in ("fetch", "test", "switch"):
        entry = ApplyEntry("c1", bundle.revision, bundle.revision, "none", phase)
        assert bench.recover(entry, 5) is None


def test_a_switched_apply_whose_nginx_does_not_come_up_is_put_back(stopped_bench: Bench) -> None:
    bundle = _stage_only(stopped_bench)
    Releases(stopped_bench.layout).switch(bundle.revision)
    entry = ApplyEntry("c1", bundle.revision, bundle.revision, "none", "reload")
    outcome = stopped_bench.recover(entry, 0.1)
    assert outcome is not None
    assert outcome.degraded
    assert stopped_bench.layout.current.readlink() == Path("releases/none")


def test_six_applies_leave_five_releases(bench: Bench) -> None:
    for number in range(7):
        assert bench.apply({"1-a.example": host(bench.config, "a.example", str(number))}, f"c{number}").error == ""
    assert 5 <= len(list(bench.layout.releases.iterdir())) <= 6


def _stage_only(bench: Bench) -> Bundle:
    """A release that is written and not live, as a crash before the switch leaves it."""
    bundle, contents = make_bundle(bench.config, {"1-a.example": host(bench.config, "a.example")})
    stager = Stager(bench.config, bench.layout, bench.nginx)
    with stager.stage(bundle, Contents(contents), Guard(time.monotonic() + 5)) as staged:
        assert staged.verdict().ok
    return bundle
