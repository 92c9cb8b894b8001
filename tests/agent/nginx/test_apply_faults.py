"""Faults in the middle of an apply: it ends applied or as it was before, and nginx starts from disk.
May import: agent, tests.agent.conftest."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import AgentConfig
from agent.journal import Journal
from agent.nginx import directives, release
from agent.nginx.apply import Applier
from agent.nginx.controller import LocalNginx
from agent.nginx.directives import Rule
from agent.nginx.layout import Layout
from agent.nginx.release import Releases
from agent.nginx.setup import prepare
from tests.agent.conftest import Bench, host, is_root, make_bundle, wait_for
from tests.agent.nginx.cold import assert_starts_from_disk

KEPT = "1-a.example"


@pytest.fixture
def kept(bench: Bench) -> Bench:
    """A bench whose nginx serves "kept" at a.example."""
    assert bench.apply({KEPT: host(bench.config, "a.example", "kept")}, "c0").error == ""
    return bench


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the agent take a directive that its allow-list does not have today."""

    def allow(*names: str, context: str = "http") -> None:
        for name in names:
            monkeypatch.setitem(directives.RULES[context], name, Rule(lambda _args, _policy: None))

    return allow


# ---- what nginx refuses ------------------------------------------------------------------------------------------


def test_a_taken_port_is_rolled_back_and_nginx_starts_from_disk(kept: Bench) -> None:
    with socket.create_server(("0.0.0.0", kept.config.https_port)):
        outcome = kept.apply({KEPT: host(kept.config, "a.example", "new", kept.config.https_port)})
        assert outcome.rolled_back
        assert_starts_from_disk(kept, a_example="kept")


@pytest.mark.parametrize("kind", ["limit_req_zone", "limit_conn_zone"])
def test_a_zone_with_another_key_is_never_called_live(kept: Bench, allow: Callable[..., None], kind: str) -> None:
    allow(kind)
    rest = "zone=one:1m rate=9r/s" if kind == "limit_req_zone" else "zone=one:1m"
    hosts = {KEPT: host(kept.config, "a.example", "kept")}
    assert kept.apply(hosts, http=f"{kind} $remote_addr {rest};\n").error == ""
    changed = {KEPT: host(kept.config, "a.example", "changed")}
    outcome = kept.apply(changed, "c2", http=f"{kind} $server_name {rest};\n")
    assert outcome.rolled_back
    assert "while previously it used" in outcome.error
    assert "while previously it used" in kept.text("c2")
    assert kept.get("a.example") == (200, "kept")
    assert_starts_from_disk(kept, a_example="kept")


def test_a_cache_zone_that_moves_is_never_called_live(kept: Bench, allow: Callable[..., None], tmp_path: Path) -> None:
    allow("proxy_cache_path")
    hosts = {KEPT: host(kept.config, "a.example", "kept")}
    for number in (1, 2):
        (tmp_path / f"cache{number}").mkdir()
    assert kept.apply(hosts, http=f"proxy_cache_path {tmp_path}/cache1 keys_zone=one:1m;\n").error == ""
    outcome = kept.apply(hosts, "c2", http=f"proxy_cache_path {tmp_path}/cache2 keys_zone=one:1m;\n")
    assert outcome.rolled_back
    assert "one" in outcome.error
    assert_starts_from_disk(kept, a_example="kept")


def test_a_change_that_moves_the_error_log_is_explained_all_the_same(
    kept: Bench, allow: Callable[..., None], tmp_path: Path
) -> None:
    allow("error_log")
    with socket.create_server(("0.0.0.0", kept.config.https_port)):
        moved = {KEPT: host(kept.config, "a.example", "new", kept.config.https_port)}
        outcome = kept.apply(moved, http=f"error_log {tmp_path}/elsewhere.log;\n")
        assert outcome.rolled_back
        assert "Address already in use" in outcome.error
        assert_starts_from_disk(kept, a_example="kept")


def test_an_error_log_that_was_moved_away_hides_no_refusal(kept: Bench) -> None:
    group = "upstream waypost_x { server 127.0.0.1:9; }\n"
    hosts = {KEPT: host(kept.config, "a.example", "kept"), "2-b.example": group + host(kept.config, "b.example")}
    assert kept.apply(hosts).error == ""
    kept.layout.error_log.rename(kept.layout.error_log.with_name("moved-by-hand.log"))
    clash = {**hosts, "1-c.example": group + host(kept.config, "c.example")}
    outcome = kept.apply(clash, "c2")
    assert outcome.rolled_back
    assert "duplicate upstream" in outcome.error
    assert "duplicate upstream" in kept.text("c2")
    assert_starts_from_disk(kept, a_example="kept", b_example="hello")


def test_a_dead_upstream_name_and_a_missing_certificate_name_their_hosts(kept: Bench) -> None:
    certificate = kept.config.letsencrypt_dir / "live/gone.example/fullchain.pem"
    key = certificate.with_name("privkey.pem")
    tls = (
        f"server {{\n    listen {kept.config.https_port} ssl;\n    server_name c.example;\n"
        f"    ssl_certificate {certificate};\n    ssl_certificate_key {key};\n    return 200 c;\n}}\n"
    )
    dead = (
        "upstream waypost_2 {\n    server no-such-name.invalid:80;\n}\n"
        f"server {{ listen {kept.config.http_port}; server_name b.example;"
        " location / { proxy_pass http://waypost_2; } }\n"
    )
    changed = host(kept.config, "a.example", "changed")
    outcome = kept.apply({KEPT: changed, "2-b.example": dead, "3-c.example": tls})
    assert outcome.failed_stage == "test"
    assert {error.path for error in outcome.file_errors} == {"hosts/2-b.example.conf", "hosts/3-c.example.conf"}
    words = " ".join(error.text for error in outcome.file_errors)
    assert "host not found in upstream" in words
    assert "cannot load certificate" in words
    assert f"The certificate file {certificate} is missing." in words
    assert_starts_from_disk(kept, a_example="kept")
    assert kept.apply({KEPT: changed}, "c2").error == ""
    assert_starts_from_disk(kept, a_example="changed")


def test_a_name_that_is_looked_up_while_nginx_runs_harms_nobody_when_it_is_dead(kept: Bench) -> None:
    dead = (
        f"server {{ listen {kept.config.http_port}; server_name b.example; location / {{"
        " set $upstream_host no-such-name.invalid; proxy_pass http://$upstream_host:80; } }\n"
    )
    hosts = {KEPT: host(kept.config, "a.example", "kept"), "2-b.example": dead}
    assert kept.apply(hosts).error == ""
    assert kept.get("b.example")[0] == 502
    assert_starts_from_disk(kept, a_example="kept")


# ---- nginx itself ------------------------------------------------------------------------------------------------


def kill_nginx(bench: Bench) -> None:
    assert bench.process is not None
    workers = bench.nginx.processes().serving
    bench.process.kill()
    bench.process.wait(10)
    for pid, _ in workers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not bench.nginx.revision())


def meanwhile(action: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def wait_for_phase(bench: Bench, phase: str) -> None:
    def reached() -> bool:
        entry = bench.journal.last_apply()
        return entry is not None and entry.phase == phase

    wait_for(reached)


def stopped(bench: Bench) -> None:
    """nginx takes no signal until it is killed: the apply stays in the middle."""
    assert bench.process is not None
    bench.process.send_signal(signal.SIGSTOP)


def test_an_nginx_that_is_restarted_in_the_middle_ends_with_the_new_files(kept: Bench) -> None:
    stopped(kept)

    def restart() -> None:
        wait_for_phase(kept, "prove")
        kill_nginx(kept)
        kept.start()

    thread = meanwhile(restart)
    outcome = kept.apply({KEPT: host(kept.config, "a.example", "new")})
    thread.join()
    assert outcome.error == ""
    assert kept.get("a.example") == (200, "new")
    assert_starts_from_disk(kept, a_example="new")


def test_an_nginx_that_cannot_restart_with_the_new_files_gets_the_old_ones_back(kept: Bench) -> None:
    """Its supervisor starts it again and again; the new files name a port that somebody has taken."""
    stopped(kept)
    conf = str(kept.layout.conf)

    def supervise() -> None:
        wait_for_phase(kept, "prove")
        kill_nginx(kept)
        for _ in range(10):
            kept.process = subprocess.Popen(
                ["nginx", "-c", conf, "-g", "daemon off;"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            with suppress(subprocess.TimeoutExpired):
                kept.process.wait(3.5)
            if kept.process.poll() is None:
                return

    with socket.create_server(("0.0.0.0", kept.config.https_port)):
        thread = meanwhile(supervise)
        outcome = kept.apply({KEPT: host(kept.config, "a.example", "new", kept.config.https_port)})
        thread.join()
        assert outcome.rolled_back
        assert "Address already in use" in outcome.error
        assert kept.get("a.example") == (200, "kept")
        assert_starts_from_disk(kept, a_example="kept")


def test_an_nginx_that_dies_and_stays_away_is_degraded_and_starts_from_disk(kept: Bench) -> None:
    stopped(kept)
    kept.applier = Applier(kept.config, kept.layout, kept.nginx, kept.journal, patience=0.3)

    def kill() -> None:
        wait_for_phase(kept, "prove")
        kill_nginx(kept)

    thread = meanwhile(kill)
    outcome = kept.apply({KEPT: host(kept.config, "a.example", "new")})
    thread.join()
    assert outcome.degraded
    assert "nginx is not running" in outcome.error
    assert_starts_from_disk(kept, a_example="kept")


def test_files_that_keep_a_stopped_nginx_from_starting_are_replaced_by_an_apply(kept: Bench) -> None:
    """Somebody broke a live file, then the machine was restarted."""
    hosts = {KEPT: host(kept.config, "a.example", "kept")}
    kept.stop()
    (kept.layout.current / f"hosts/{KEPT}.conf").write_text("broken;\n")

    def start_when_possible() -> None:
        conf = ["nginx", "-t", "-q", "-c", str(kept.layout.conf)]
        wait_for(lambda: subprocess.run(conf, stderr=subprocess.DEVNULL).returncode == 0)
        kept.start()

    thread = meanwhile(start_when_possible)
    outcome = kept.apply(hosts)
    thread.join()
    assert outcome.error == ""
    assert "could not be started from the present files" in kept.text()
    assert_starts_from_disk(kept, a_example="kept")


def test_a_stopped_nginx_with_good_files_is_left_alone(kept: Bench) -> None:
    kept.stop()
    outcome = kept.apply({KEPT: host(kept.config, "a.example", "new")})
    assert outcome.failed_stage == "switch"
    assert "left as they were" in outcome.error
    assert_starts_from_disk(kept, a_example="kept")


# ---- a rollback that fails too -----------------------------------------------------------------------------------


def test_a_rollback_to_a_release_that_is_gone_is_degraded_and_nginx_goes_on(kept: Bench) -> None:
    previous = kept.layout.current.readlink().name
    kept.apply({KEPT: host(kept.config, "a.example", "second")}, "c1")
    live = kept.layout.current.readlink().name
    with socket.create_server(("0.0.0.0", kept.config.https_port)):
        stopped(kept)

        def damage() -> None:
            wait_for_phase(kept, "prove")
            shutil.rmtree(kept.layout.release(live))
            assert kept.process is not None
            kept.process.send_signal(signal.SIGCONT)

        thread = meanwhile(damage)
        outcome = kept.apply({KEPT: host(kept.config, "a.example", "new", kept.config.https_port)}, "c2")
        thread.join()
        assert outcome.degraded
        assert outcome.revision == ""
        assert kept.get("a.example") == (200, "second")
        assert kept.layout.current.readlink().name != live
    assert previous
    assert_starts_from_disk(kept)


def test_a_rollback_to_files_that_were_broken_by_hand_is_degraded_and_nginx_starts_from_older_ones(kept: Bench) -> None:
    kept.apply({KEPT: host(kept.config, "a.example", "second")}, "c1")
    with socket.create_server(("0.0.0.0", kept.config.https_port)):
        (kept.layout.current / f"hosts/{KEPT}.conf").write_text("broken;\n")
        outcome = kept.apply({KEPT: host(kept.config, "a.example", "new", kept.config.https_port)}, "c2")
        assert outcome.degraded
        assert not outcome.rolled_back
        assert 'unknown directive "broken"' in outcome.error
        assert kept.get("a.example") == (200, "second")
        assert "if it is restarted" in kept.text("c2")
        assert_starts_from_disk(kept, a_example="kept")


# ---- the disk ----------------------------------------------------------------------------------------------------


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]).returncode:
        pytest.skip("this machine does not let the tests mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(agent_config: AgentConfig, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A bench whose releases lie on a disk of two MiB."""
    if not is_root():
        pytest.skip("only root can mount a small disk")
    with tmpfs(agent_config.nginx_dir, "2m"):
        bench: Bench = request.getfixturevalue("bench")
        assert bench.apply({KEPT: host(bench.config, "a.example", "kept")}, "c0").error == ""
        yield bench
        bench.stop()


def fill(folder: Path) -> Path:
    """Leaves no byte."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return path


def test_a_full_disk_ends_an_apply_before_anything_live_is_touched(small_disk: Bench) -> None:
    filler = fill(small_disk.layout.root)
    outcome = small_disk.apply({KEPT: host(small_disk.config, "a.example", "new")})
    assert outcome.failed_stage == "fetch"
    assert "No space left on device" in outcome.error
    assert small_disk.get("a.example") == (200, "kept")
    assert_starts_from_disk(small_disk, a_example="kept")
    filler.unlink()
    small_disk.applier.prune()
    assert [folder.name for folder in small_disk.layout.releases.glob("*.tmp")] in ([], ["next.tmp"])
    assert small_disk.apply({KEPT: host(small_disk.config, "a.example", "new")}, "c2").error == ""
    assert_starts_from_disk(small_disk, a_example="new")


def test_a_disk_that_is_too_full_for_the_test_alone_ends_an_apply_too(small_disk: Bench) -> None:
    """The release lies there already, so that only the test needs room."""
    first = small_disk.layout.current.readlink().name
    new = {KEPT: host(small_disk.config, "a.example", "new")}
    assert small_disk.apply(new, "c1").error == ""
    (small_disk.layout.test / "nginx.conf").unlink()
    filler = fill(small_disk.layout.root)
    outcome = small_disk.apply({KEPT: host(small_disk.config, "a.example", "kept")}, "c2")
    assert (outcome.failed_stage, outcome.error) == (
        "test",
        "The test cannot be written on the agent's machine: No space left on device.",
    )
    assert small_disk.layout.current.readlink().name != first
    filler.unlink()
    assert_starts_from_disk(small_disk, a_example="new")


def test_a_disk_that_cannot_be_written_ends_an_apply_before_anything_live_is_touched(small_disk: Bench) -> None:
    folder = str(small_disk.layout.root)
    bundle, contents = make_bundle(small_disk.config, {KEPT: host(small_disk.config, "a.example", "new")})
    # nginx holds its log open for writing, so the disk is made read-only over a second mount of the releases.
    releases = str(small_disk.layout.releases)
    subprocess.run(["mount", "--bind", releases, releases], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", releases], check=True)
        outcome = small_disk.apply_bundle(bundle, contents, "c1")
    finally:
        subprocess.run(["umount", "-l", releases], check=True)
    assert folder not in outcome.error
    assert "Read-only file system" in outcome.error
    assert_starts_from_disk(small_disk, a_example="kept")


# ---- hostile things on disk --------------------------------------------------------------------------------------


def test_links_planted_where_the_agent_writes_are_replaced_and_never_followed(kept: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    bundle, contents = make_bundle(kept.config, {KEPT: host(kept.config, "a.example", "new")})
    (kept.layout.releases / f"{bundle.revision}.tmp").symlink_to(victim)
    kept.layout.current.with_name("current.tmp").symlink_to(victim)
    assert kept.apply_bundle(bundle, contents).error == ""
    assert [path.name for path in victim.iterdir()] == ["precious"]
    assert_starts_from_disk(kept, a_example="new")


def test_files_of_a_release_are_plain_whatever_the_umask(kept: Bench) -> None:
    before = os.umask(0)
    try:
        assert kept.apply({KEPT: host(kept.config, "a.example", "new")}).error == ""
    finally:
        os.umask(before)
    for path in kept.layout.current.resolve().rglob("*.conf"):
        assert path.stat().st_mode & 0o7777 == 0o644
    assert_starts_from_disk(kept, a_example="new")


# ---- long connections --------------------------------------------------------------------------------------------


def websocket_upstream(server: socket.socket) -> None:
    """Takes one upgrade and repeats what it hears."""
    connection, _ = server.accept()
    with connection:
        while b"\r\n\r\n" not in connection.recv(65536):
            pass
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while data := connection.recv(4096):
            connection.sendall(data)


def test_a_websocket_holds_its_old_worker_and_nothing_else(agent_config: AgentConfig) -> None:
    config = replace(agent_config, shutdown_seconds=2)
    prepare(config)
    layout = Layout(config.nginx_dir)
    bench = make_bench(config, layout)
    upstream = socket.create_server(("127.0.0.1", 0))
    thread = meanwhile(lambda: websocket_upstream(upstream))
    proxied = (
        f"server {{ listen {config.http_port}; server_name w.example; location / {{"
        f" proxy_pass http://127.0.0.1:{upstream.getsockname()[1]}; proxy_http_version 1.1;"
        " proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }\n"
    )
    try:
        bench.start()
        assert bench.apply({"1-w.example": proxied}).error == ""
        with socket.create_connection(("127.0.0.1", config.http_port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: w.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            assert b"101" in client.recv(4096)
            outcome = bench.apply({"1-w.example": proxied, KEPT: host(config, "a.example", "new")}, "c2")
            assert outcome.error == ""
            assert bench.get("a.example") == (200, "new")
            assert len(bench.nginx.processes().leaving) == 1
            client.sendall(b"still here")
            assert client.recv(4096) == b"still here"
            assert client.recv(4096) == b""  # worker_shutdown_timeout
        wait_for(lambda: not bench.nginx.processes().leaving)
        assert_starts_from_disk(bench, a_example="new")
    finally:
        bench.stop()
        bench.journal.close()
        upstream.close()
        thread.join()


def make_bench(config: AgentConfig, layout: Layout) -> Bench:
    journal, nginx = Journal(config.journal_path), LocalNginx(config, layout)
    return Bench(config, layout, journal, nginx, Applier(config, layout, nginx, journal))


# ---- between the writing and the end -------------------------------------------------------------------------------


def test_an_edit_in_the_midst_of_an_apply_is_told_and_not_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = Releases.switch

    def switch_and_edit(releases: Releases, name: str) -> None:
        switch(releases, name)
        file = bench.layout.release(name) / "hosts" / f"{KEPT}.conf"
        file.write_text(file.read_text().replace("kept", "edited"))

    with monkeypatch.context() as patched:
        patched.setattr(Releases, "switch", switch_and_edit)
        assert bench.apply({KEPT: host(bench.config, "a.example", "kept")}, "c0").error == ""
    other = host(bench.config, "b.example")
    assert bench.apply({KEPT: host(bench.config, "a.example", "kept"), "2-b.example": other}).error == ""
    assert "edited by hand" in bench.text("c1")
    assert bench.get("a.example") == (200, "kept")


def test_a_switch_that_may_not_outlive_a_power_cut_is_one(kept: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync_all_but_the_root(path: Path) -> None:
        if path == kept.layout.root:
            raise OSError("Input/output error")

    monkeypatch.setattr(release, "sync", sync_all_but_the_root)
    assert kept.apply({KEPT: host(kept.config, "a.example", "new")}).error == ""
    assert kept.get("a.example") == (200, "new")
