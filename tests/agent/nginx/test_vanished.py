"""Certificates that vanish while there is no panel: their hosts go on as plain HTTP, and come back to HTTPS.
May import: agent, tests.agent. The files are those that the panel writes (its golden ones)."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from agent.acme.startable import Startable
from agent.acme.usage import Usage
from agent.config import AgentConfig
from agent.nginx.directives import Policy, check_text
from agent.nginx.drift import DriftWatch
from agent.nginx.interface import ProcessKey
from agent.nginx.machine import has_ipv6
from agent.nginx.plain import make_plain
from agent.nginx.release import Releases
from agent.nginx.reload import Reloader
from agent.nginx.setup import prepare
from agent.nginx.tokens import parse
from agent.nginx.turn import Turn
from tests.agent.conftest import Bench, make_bundle, wait_for
from tests.agent.nginx.test_one_parse import make_certificate

GOLDEN = Path(__file__).parents[2] / "panel/nginx/golden"
GONE, KEPT = "gone.example", "kept.example"


def golden(config: AgentConfig, file: str, name: str = "", number: int = 12) -> str:
    """A file as the panel writes it, for this machine; its upstream is the endpoint of the revision."""
    text = (GOLDEN / file).read_text()
    for old, new in {
        "8080": str(config.http_port),
        "8443": str(config.https_port),
        "/etc/letsencrypt": str(config.letsencrypt_dir),
        "10.0.0.5:3000": f"127.0.0.1:{config.status_port}",
        "app.example.com": name,
        "waypost_12": f"waypost_{number}",
    }.items():
        text = text.replace(old, new)
    return text if has_ipv6() else re.sub(r"(?m)^ *listen \[::\].*\n", "", text)


@pytest.fixture
def served(bench: Bench) -> Bench:
    """Two hosts that redirect to https and send HSTS, each with a certificate of its own."""
    config = bench.config
    for name in (GONE, KEPT):
        make_certificate(config.letsencrypt_dir / "live" / name)
    hosts = {
        f"{n}-{name}": golden(config, "certificate-force-ssl.conf", name, n) for n, name in enumerate((GONE, KEPT))
    }
    bundle, contents = make_bundle(
        config, hosts, golden(config, "http-tls.conf"), golden(config, "default-tls-no-http2.conf")
    )
    assert bench.apply_bundle(bundle, contents).error == ""
    challenges = bench.layout.webroot / ".well-known/acme-challenge"
    challenges.mkdir(parents=True)
    (challenges / "token").write_text("answer")
    return bench


def startable(bench: Bench) -> Startable:
    turn, usage = Turn(), Usage(bench.layout, bench.config.letsencrypt_dir)
    return Startable(bench.config, usage, turn, Reloader(bench.layout, bench.nginx, turn).load_again)


def ask(bench: Bench, name: str, path: str = "/revision") -> str:
    """The answer by plain HTTP, with its head."""
    url = f"http://127.0.0.1:{bench.config.http_port}{path}"
    return subprocess.run(
        ["curl", "-si", "-H", f"Host: {name}", url], capture_output=True, text=True, timeout=10
    ).stdout


def answers_tls(bench: Bench, name: str) -> bool:
    """Whether a handshake for this name succeeds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", bench.config.https_port), timeout=5) as plain:
            context.wrap_socket(plain, server_hostname=name).close()
    except OSError:
        return False
    return True


def workers(bench: Bench) -> set[ProcessKey]:
    """The processes that may take a connection now."""
    found = bench.nginx.processes()
    return {*found.serving, *found.leaving}


def assert_plain(bench: Bench) -> None:
    """The one host is plain HTTP and the other one is as it was."""
    answer = ask(bench, GONE)
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith(bench.nginx.revision())
    assert "strict-transport-security" not in answer.lower()
    assert ask(bench, GONE, "/.well-known/acme-challenge/token").endswith("answer")
    assert not answers_tls(bench, GONE)
    assert answers_tls(bench, KEPT)
    assert ask(bench, KEPT).startswith("HTTP/1.1 301")


def assert_secure(bench: Bench) -> None:
    assert answers_tls(bench, GONE)
    assert ask(bench, GONE).startswith("HTTP/1.1 301")


def test_a_cold_nginx_serves_the_host_as_plain_http_until_its_certificate_is_back(
    served: Bench, tmp_path: Path
) -> None:
    live, agent, revision = served.config.letsencrypt_dir / "live" / GONE, startable(served), served.nginx.revision()
    live.rename(tmp_path / "away")
    agent.look()
    assert_secure(served)  # from memory: nginx was left alone
    served.stop()
    served.start()
    assert_plain(served)
    assert served.nginx.revision() == revision
    (tmp_path / "away").rename(live)
    agent.look()
    assert_secure(served)
    assert served.nginx.revision() == revision


@pytest.mark.parametrize("edited", [f"hosts/0-{GONE}.conf", f"hosts/1-{KEPT}.conf"])
def test_a_file_that_was_edited_by_hand_does_not_stand_in_the_way(served: Bench, tmp_path: Path, edited: str) -> None:
    live, agent = served.config.letsencrypt_dir / "live" / GONE, startable(served)
    text = (served.layout.current / edited).read_text() + "# Somebody was here.\n"
    (served.layout.current / edited).unlink()
    (served.layout.current / edited).write_text(text)
    live.rename(tmp_path / "away")
    agent.look()
    served.stop()
    served.start()
    assert_plain(served)
    prepare(served.config)  # as the next start of the agent does
    (tmp_path / "away").rename(live)
    agent.look()
    assert_secure(served)
    assert (served.layout.current / edited).read_text() == text
    drift = DriftWatch(served.layout, served.nginx, Releases(served.layout)).look()
    assert [(file.path, file.kind) for file in drift.files] == [(edited, "changed")]


@pytest.mark.parametrize("file", ["fullchain.pem", "privkey.pem"])
def test_a_reload_of_a_running_nginx_does_the_same(served: Bench, tmp_path: Path, file: str) -> None:
    path, agent = served.config.letsencrypt_dir / "live" / GONE / file, startable(served)
    whole = served.layout.conf.read_text()
    path.rename(tmp_path / file)
    agent.look()
    before = workers(served)
    served.nginx.reload()
    wait_for(lambda: (now := workers(served)) and now.isdisjoint(before))
    assert_plain(served)
    (tmp_path / file).rename(path)
    agent.look()
    assert_secure(served)
    assert served.layout.conf.read_text() == whole


def test_an_agent_that_starts_after_they_vanished_says_so_and_prepares_nginx(served: Bench, tmp_path: Path) -> None:
    served.stop()
    (served.config.letsencrypt_dir / "live" / GONE).rename(tmp_path / "away")
    said = f"hosts/0-{GONE}.conf names a certificate that is gone: until it is back, this host is plain HTTP."
    assert said in prepare(served.config)
    served.start()
    assert_plain(served)


@pytest.mark.parametrize("file", sorted(path.name for path in GOLDEN.glob("certificate*.conf")))
def test_the_plain_form_of_a_host_is_what_the_panel_would_write_without_a_certificate(
    agent_config: AgentConfig, file: str
) -> None:
    text = golden(agent_config, file, GONE)
    plain = make_plain(text, ["80"])
    check_text(plain, Policy(frozenset({80, agent_config.http_port}), agent_config.letsencrypt_dir))
    assert not re.search(r"ssl|http2|return 301", plain)  # a port may well end in 301
    assert make_plain(plain, ["80"]) == plain
    before, after = (next(each for each in parse(t) if each.name == "server").block or [] for t in (text, plain))
    assert [each.name for each in after if each.name == "listen"]
    assert [(e.name, e.args) for e in after] == [(e.name, e.args) for e in before if is_plain(e.name, e.args)]


def is_plain(name: str, args: tuple[str, ...]) -> bool:
    return not name.startswith("ssl_") and name not in {"http2", "if"} and "ssl" not in args


def test_a_host_that_listens_for_tls_only_listens_for_plain_http_instead() -> None:
    plain = make_plain(
        'server {\n listen 443 ssl;\n server_name a.example;\n return 200 "a \\"b\\" \\\\ c";\n}\n', ["80"]
    )
    (server,) = parse(plain)
    assert [(each.name, each.args) for each in server.block or []] == [
        ("listen", ("80",)),
        ("server_name", ("a.example",)),
        ("return", ("200", 'a "b" \\ c')),
    ]
