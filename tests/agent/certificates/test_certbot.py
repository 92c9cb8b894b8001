"""Beside a real certbot: what it issued is found and taken over, and what is ours it leaves alone.
May import: agent, protos, tests.agent."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from agent.acme.state import Source
from protos import command_stream_pb2 as pb
from tests.agent.certificates.bench import CertificateBench

CERTBOT = os.environ.get("WAYPOST_CERTBOT") or shutil.which("certbot") or ""
pytestmark = pytest.mark.skipif(not CERTBOT, reason="certbot is not on PATH, and WAYPOST_CERTBOT names none")


def certbot(certificates: CertificateBench, *arguments: str) -> str:
    """Its output; it must succeed."""
    folder = certificates.root.parent
    dirs = ["--config-dir", certificates.root, "--work-dir", folder / "work", "--logs-dir", folder / "log"]
    done = subprocess.run(
        [CERTBOT, *arguments, *map(str, dirs), "-n"],
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "REQUESTS_CA_BUNDLE": str(certificates.pebble.ca_file)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def issue_by_certbot(certificates: CertificateBench, *names: str, cert_name: str) -> None:
    webroot = ["--webroot", "-w", str(certificates.bench.layout.webroot)]
    account = ["--server", certificates.pebble.directory_url, "--agree-tos", "--register-unsafely-without-email"]
    domains = [word for name in names for word in ("-d", name)]
    certbot(certificates, "certonly", *webroot, *account, *domains, "--cert-name", cert_name)


def test_what_certbot_issued_is_shown_taken_over_and_renewed_by_us_alone(certificates: CertificateBench) -> None:
    issue_by_certbot(
        certificates, "bot.example", "www.bot.example", cert_name="npm-7"
    )  # as nginx-proxy-manager names it
    assert certificates.workshop is not None
    certificates.workshop.tick()
    (state,) = certificates.reports()[-1].certificates
    assert (state.name, state.source, state.present) == ("npm-7", pb.CertificateState.CERTBOT, True)
    assert set(state.names) == {"bot.example", "www.bot.example"}
    assert state.directory_url == certificates.pebble.directory_url
    assert state.next_action == ""

    spec = certificates.spec("bot.example", name="npm-7")
    taken = certificates.run(take_over_certificate=pb.TakeOverCertificate(spec=spec))
    assert taken.error == ""
    before = certificates.pebble.issued()
    assert "not yet due" in certbot(certificates, "renew", "--no-random-sleep-on-renew")
    renewed = certificates.run(renew_certificate=pb.RenewCertificate(name="npm-7"))
    assert renewed.error == ""
    assert certificates.pebble.issued() - before == 1
    serial = renewed.renew_certificate.certificate.serial
    assert serial in certbot(certificates, "certificates")
    assert set(renewed.renew_certificate.certificate.names) == {"bot.example", "www.bot.example"}


def test_what_certbot_renews_is_told(certificates: CertificateBench) -> None:
    issue_by_certbot(certificates, "own.example", cert_name="own.example")
    assert certificates.workshop is not None
    certificates.workshop.tick()
    (before,) = certificates.reports()[-1].certificates
    certbot(certificates, "renew", "--force-renewal", "--no-random-sleep-on-renew")
    certificates.workshop.tick()
    (after,) = certificates.reports()[-1].certificates
    assert after.serial != before.serial
    assert certificates.workshop.certificates.statuses()[0].source is Source.CERTBOT


def test_ours_are_listed_and_deleted_ones_are_gone(certificates: CertificateBench) -> None:
    certificates.issue("ours.example")
    serial = certificates.lineages.look("ours.example").leaf
    assert serial is not None
    assert serial.serial in certbot(certificates, "certificates")
    assert certificates.run(delete_certificate=pb.DeleteCertificate(name="ours.example")).error == ""
    assert "No certificates found" in certbot(certificates, "certificates")
