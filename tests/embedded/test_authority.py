"""The certificate authority of a laptop: its files, its programs, and how a run goes on without it.
May import: panel.embedded, tests.product and the standard library; Pebble is the real one."""

from __future__ import annotations

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import pytest
from cryptography import x509

from panel.embedded.run import read_run
from panel.embedded.test_authority import TestAuthority, find_programs, is_wanted
from tests.embedded.test_refusals import supervise
from tests.product import free_ports, wait_until

ROOT = Path(__file__).resolve().parents[2]


def make_authority(folder: Path) -> TestAuthority:
    programs = find_programs()
    assert programs is not None, "Pebble is not installed: make test installs it"
    return TestAuthority(folder, *programs, *free_ports(4))


@contextmanager
def running(authority: TestAuthority) -> Iterator[ssl.SSLContext]:
    """Both programs; what a client trusts."""
    authority.write_files(*free_ports(2))
    trust = ssl.create_default_context(cafile=authority.ca_file)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    with ExitStack() as stack:
        for command in (authority.pebble_command(), authority.name_server_command()):
            process = stack.enter_context(
                subprocess.Popen(
                    command, env=authority.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
                )
            )
            stack.callback(process.kill)
        for port in authority.ports():
            wait_until(lambda number=port.number: answers(number), f"port {port.number} answers")  # type: ignore[misc]
        yield trust


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_its_directory_is_trusted_by_its_own_file_alone(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "pebble")
    with running(authority) as trust:
        with urllib.request.urlopen(authority.directory_url, context=trust) as answer:
            assert "newOrder" in json.load(answer)
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(authority.directory_url, context=ssl.create_default_context())


def test_every_name_leads_to_this_machine_and_none_has_an_ipv6_address(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "pebble")
    with running(authority):
        found = {
            kind: dns.query.udp(dns.message.make_query("any.example.test", kind), "127.0.0.1", 5, authority.dns_port)
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA)
        }
    assert [str(rdata) for rrset in found[dns.rdatatype.A].answer for rdata in rrset] == ["127.0.0.1"]
    assert found[dns.rdatatype.AAAA].answer == []


def test_its_certificate_stays_the_same_from_run_to_run_because_agents_remember_it(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    authority.write_files(80, 443)
    first = authority.ca_file.read_bytes()
    authority.write_files(8080, 8443)
    assert authority.ca_file.read_bytes() == first
    assert json.loads((tmp_path / "pebble.json").read_text())["pebble"]["httpPort"] == 8080


@pytest.mark.parametrize("damage", ["key", "pem"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    authority = make_authority(tmp_path)
    authority.write_files(80, 443)
    first = authority.ca_file.read_bytes()
    (tmp_path / f"pebble.{damage}").write_text("-----BEGIN NOTHING-----\n")
    authority.write_files(80, 443)
    assert authority.ca_file.read_bytes() != first
    x509.load_pem_x509_certificate(authority.ca_file.read_bytes())


def test_nobody_else_reads_its_files(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "pebble")
    authority.write_files(80, 443)
    assert stat.S_IMODE((tmp_path / "pebble").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "pebble").iterdir()} == {0o600}


def test_pebble_sees_no_secret_of_the_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANEL_SECRET_KEY", "a-secret")
    monkeypatch.setenv("PEBBLE_WFE_NONCEREJECT", "50")
    environment = make_authority(tmp_path).environment()
    assert "PANEL_SECRET_KEY" not in environment
    assert environment["PEBBLE_WFE_NONCEREJECT"] == "50"
    assert environment["PEBBLE_VA_NOSLEEP"] == "1"


def test_the_panel_learns_of_it_and_certificates_stay_in_the_state_folder(tmp_path: Path) -> None:
    run = read_run(tmp_path, agent_only=False)
    assert run.authority is not None
    assert run.environment["PANEL_ACME_DIRECTORY"] == run.authority.directory_url
    assert run.environment["PANEL_ACME_CA_FILE"] == str(run.authority.ca_file)
    assert run.environment["PANEL_ACME_DNS_SERVER"] == f"127.0.0.1:{run.authority.dns_port}"
    assert run.environment["LETSENCRYPT_DIR"] == os.environ.get("LETSENCRYPT_DIR", str(tmp_path / "letsencrypt"))


def test_switched_off_the_panel_hears_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYPOST_TEST_AUTHORITY", "off")
    run = read_run(tmp_path, agent_only=False)
    assert run.authority is None
    assert "PANEL_ACME_DIRECTORY" not in run.environment


def test_a_machine_with_only_an_agent_has_none(tmp_path: Path) -> None:
    assert read_run(tmp_path, agent_only=True).authority is None


def test_a_word_that_is_neither_on_nor_off_is_refused(tmp_path: Path) -> None:
    done = supervise(tmp_path, WAYPOST_TEST_AUTHORITY="maybe")
    assert done.returncode == 2
    assert "WAYPOST_TEST_AUTHORITY: use on or off, not 'maybe'." in done.stdout


@pytest.mark.parametrize(
    ("variable", "purpose"), [("PEBBLE_PORT", "the test authority"), ("AGENT_HTTPS_PORT", "nginx, HTTPS")]
)
def test_a_port_of_it_or_of_https_that_is_in_use_is_said(tmp_path: Path, variable: str, purpose: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = supervise(tmp_path, **{variable: str(port)})
    assert done.returncode == 2
    assert f"Port {port} ({purpose}) is already used" in done.stdout
    assert f"{variable}=" in done.stdout


def test_off_is_read_in_any_case() -> None:
    assert [is_wanted({"WAYPOST_TEST_AUTHORITY": word}) for word in ("", "on", "OFF")] == [True, True, False]


def make_scripts(folder: Path, more: dict[str, str]) -> None:
    """The programs of a machine that has only these."""
    scripts = {
        "apt-get": "exit 0",
        "sudo": '[ "$1" = -n ] && shift; exec "$@"',
        "env": 'shift; exec "$@"',
        "install": "exit 0",
        "rm": "exit 0",
        **more,
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


def python_with(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(folder)}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)


def provision(folder: Path, candidate: str) -> subprocess.CompletedProcess[str]:
    """The step of `make run` on a machine whose apt offers this version of Pebble and fails to install it."""
    offer = f'echo "pebble:"; echo "  Candidate: {candidate}"'
    refusal = 'case "$*" in *install*) echo "no route to the mirror"; exit 100;; esac'
    make_scripts(folder, {"apt-cache": offer, "apt-get": refusal})
    return python_with(folder, "from panel.embedded import provision; provision._offer_pebble('run')")


def test_services_of_what_tests_need_are_neither_started_nor_left_enabled(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    make_scripts(tmp_path, dict.fromkeys(("update-rc.d", "systemctl"), f'echo "$0 $*" >> {calls}'))
    code = "from panel.embedded.system_packages import *; install_programs(['bind9', 'knot', 'certbot'], 'for tests')"
    done = python_with(tmp_path, code)
    assert done.returncode == 0, done.stderr
    told = [line.rpartition("/")[2] for line in calls.read_text().splitlines()]
    for unit in ("named.service", "knot.service", "certbot.timer"):
        assert f"systemctl disable {unit}" in told
        assert f"update-rc.d {unit.partition('.')[0]} disable" in told
        assert f"systemctl stop {unit}" in told


def test_a_release_without_the_package_goes_on_without_a_word(tmp_path: Path) -> None:
    done = provision(tmp_path, "(none)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_apt_that_cannot_install_it_does_not_stop_the_run(tmp_path: Path) -> None:
    done = provision(tmp_path, "2.4.0")
    assert done.returncode == 0, done.stderr
    assert "Installing pebble as the certificate authority of this machine" in done.stdout
    assert "no route to the mirror" in done.stdout
    assert "Going on without it" in done.stdout
