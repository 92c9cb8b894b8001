"""The first release and the wrapper: nginx starts before anything was applied, as root and as anybody.
May import: agent, tests.agent.conftest."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import AgentConfig
from agent.nginx.layout import Layout
from agent.nginx.release import Releases
from agent.nginx.setup import prepare
from agent.nginx.wrapper import Machine, render, resolvers
from tests.agent.conftest import Bench, get, host, is_root, wait_for
from tests.product import free_ports

ROOT = Path(__file__).parents[3]


def test_nginx_starts_from_a_prepared_folder_and_answers_404_for_every_name(bench: Bench) -> None:
    assert bench.get("anything.example")[0] == 404
    assert bench.nginx.revision() == "none"
    facts = bench.nginx.facts()
    assert facts.running
    assert facts.applied_revision == ""
    assert facts.version
    assert "with-http_ssl_module" in facts.modules


def test_preparing_again_changes_nothing_that_is_live(bench: Bench) -> None:
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example")})
    before = bench.layout.current.readlink()
    prepare(bench.config)
    assert bench.layout.current.readlink() == before
    assert bench.nginx.facts().applied_revision == outcome.revision


def test_another_status_port_gets_a_new_wrapper_for_the_same_revision(bench: Bench) -> None:
    outcome = bench.apply({"1-a.example": host(bench.config, "a.example")})
    (port,) = free_ports(1)
    prepare(replace(bench.config, status_port=port))
    current = Releases(bench.layout).current()
    assert current is not None
    assert current.bundle.revision == outcome.revision
    assert f"127.0.0.1:{port}" in bench.layout.conf.read_text()
    assert bench.nginx.facts().applied_revision == outcome.revision


def test_a_release_without_manifest_is_left_alone(stopped_bench: Bench) -> None:
    (stopped_bench.layout.current / "manifest.json").write_text("{")
    before = stopped_bench.layout.conf.read_text()
    assert any("lost its manifest" in warning for warning in prepare(stopped_bench.config))
    assert stopped_bench.layout.conf.read_text() == before


@pytest.mark.parametrize(
    "lines",
    [
        "location ~ ^/(?!\\.well-known/acme-challenge/) { return 404; }",
        "location ^~ /.well-known/acme-challenge/ { proxy_pass http://waypost_agent; }",
    ],
)
def test_acme_answers_come_from_the_agent_s_folder_only(bench: Bench, lines: str) -> None:
    (bench.layout.webroot / ".well-known/acme-challenge").mkdir(parents=True)
    (bench.layout.webroot / ".well-known/acme-challenge/token").write_text("answer")
    challenge = f"server {{ listen {bench.config.http_port}; server_name a.example;\n{lines} }}\n"
    port = bench.config.http_port
    assert get_path(port, "nobody.example", "/.well-known/acme-challenge/token") == "answer"  # before any apply
    assert bench.apply({"1-a.example": challenge}).error == ""
    assert get_path(port, "a.example", "/.well-known/acme-challenge/token") == "answer"
    assert get_path(port, "a.example", "/.well-known/acme-challenge/../../../nginx.conf") != "answer"


def get_path(port: int, name: str, path: str) -> str:
    command = ["curl", "-s", "--path-as-is", "-H", f"Host: {name}", f"http://127.0.0.1:{port}{path}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout


@pytest.mark.skipif(not is_root(), reason="only root can become another user")
def test_an_ordinary_user_can_prepare_and_start_nginx(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    folder = Path("/tmp") / f"waypost-test-{os.getpid()}"
    folder.mkdir(mode=0o700)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    http_port, status_port = free_ports(2)
    environ = {
        **os.environ,
        "AGENT_STATE_DIR": str(folder),
        "AGENT_HTTP_PORT": str(http_port),
        "AGENT_STATUS_PORT": str(status_port),
    }
    # Becomes the user after the imports: the test's Python may lie where that user cannot read it.
    become = f"import os; os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})"
    script = f"import sys; from agent.__main__ import main; {become}; sys.exit(main())"
    try:
        subprocess.run([sys.executable, "-c", script, "prepare"], cwd=ROOT, env=environ, check=True, timeout=30)
        conf = folder / "nginx/current/nginx.conf"
        assert "user " not in conf.read_text()
        process = subprocess.Popen(
            ["nginx", "-c", str(conf), "-g", "daemon off;"],
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for((folder / "nginx/run/nginx.pid").exists)
            assert get(http_port, "x.example")[0] == 404
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(not is_root(), reason="only root chooses the workers' user")
def test_workers_that_cannot_reach_their_folders_run_as_root_with_a_warning(agent_config: AgentConfig) -> None:
    agent_config.state_dir.mkdir()
    agent_config.state_dir.chmod(0o700)
    warnings = prepare(agent_config)
    assert any("nginx's workers run as root" in warning for warning in warnings)
    assert "user root;" in Layout(agent_config.nginx_dir).conf.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 10.0.0.1\nnameserver 10.0.0.2\n", ("10.0.0.1", "10.0.0.2")),
        ("# nameserver 1.1.1.1\nnameserver 2001:db8::1\n", ("[2001:db8::1]",)),
        ("nameserver fe80::1%eth0\nnameserver nonsense;\nsearch x\nnameserver\n", ()),
        ("", ()),
    ],
)
def test_name_servers_are_read_from_resolv_conf(text: str, expected: tuple[str, ...]) -> None:
    assert resolvers(text) == expected


def test_the_wrapper_holds_what_only_this_machine_knows(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    machine = Machine("www-data", ("10.0.0.1", "[::1]"), ipv6=False, status_port=7803, http_port=7880)
    text = render(layout, machine, "abc", [tmp_path / "http.conf"])
    assert "user www-data;" in text
    assert "resolver 10.0.0.1 [::1] ipv6=off;" in text
    assert 'return 200 "abc";' in text
    assert "worker_shutdown_timeout" in text
    assert f'include "{tmp_path}/http.conf";' in text
    assert "user" not in render(layout, replace(machine, user=""), "abc", []).split("events")[0].replace("# ", "")
