"""Hosts with a certificate: HTTPS while the agent has the files, plain HTTP until then, and nobody else harmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask

from panel.extensions import db, transaction
from panel.models import Agent, Certificate, ProxyHost
from panel.services import bundles, deployments, proxy_hosts
from tests.conftest import store
from tests.panel.services.deploying import enqueue, files_of, prove, refuse, send

pytestmark = pytest.mark.usefixtures("context")

LIVE = "/etc/letsencrypt/live/app.example.com"


@pytest.fixture
def certificate(agent: Agent) -> Certificate:
    """One that the agent has reported."""
    row = Certificate(
        agent_id=agent.id,
        name="app.example.com",
        domain_names=["app.example.com"],
        is_present=True,
        chain_path=f"{LIVE}/fullchain.pem",
        key_path=f"{LIVE}/privkey.pem",
    )
    with transaction():
        agent.letsencrypt_dir = "/etc/letsencrypt"
        db.session.add(row)
    return row


def link(host: ProxyHost, certificate: Certificate) -> None:
    """As the form saves it."""
    with transaction():
        host.certificate, host.force_ssl, host.hsts = certificate, True, True


def texts(agent: Agent) -> dict[str, str]:
    with transaction():
        return {file.path: file.text for file in bundles.bundle(agent).files}


def test_a_host_listens_for_https_with_the_files_that_the_agent_reported(
    agent: Agent, save: Callable[..., ProxyHost], certificate: Certificate
) -> None:
    link(save(), certificate)
    save("plain.example.com")
    files = texts(agent)
    app, plain = files["hosts/1-app.example.com.conf"], files["hosts/2-plain.example.com.conf"]
    assert f"ssl_certificate {LIVE}/fullchain.pem;" in app
    assert f"ssl_certificate_key {LIVE}/privkey.pem;" in app
    assert "return 301 https://" in app
    assert "ssl" not in plain
    assert "ssl_reject_handshake on;" in files["default.conf"]
    assert "ssl_protocols" in files["http.conf"]


def test_a_host_whose_certificate_is_not_there_is_plain_http_without_a_redirect(
    agent: Agent, save: Callable[..., ProxyHost], certificate: Certificate
) -> None:
    link(save(), certificate)
    with transaction():
        certificate.is_present = False
    for text in texts(agent).values():
        assert "301" not in text
        assert "ssl_certificate" not in text
        assert "443" not in text


@pytest.mark.parametrize(
    ("chain", "folder"),
    [
        ("/etc/shadow", "/etc/letsencrypt"),
        ("/etc/letsencrypt/../shadow", "/etc/letsencrypt"),
        ("/etc/letsencryptx/live/a/fullchain.pem", "/etc/letsencrypt"),
        (f"{LIVE}/fullchain.pem", ""),
        (f"{LIVE}/full;chain.pem", "/etc/letsencrypt"),
        ("", "/etc/letsencrypt"),
    ],
)
def test_a_certificate_outside_the_agents_folder_sets_only_its_host_aside(
    agent: Agent, save: Callable[..., ProxyHost], certificate: Certificate, chain: str, folder: str
) -> None:
    host = save()
    link(host, certificate)
    save("plain.example.com")
    with transaction():
        certificate.chain_path, agent.letsencrypt_dir = chain, folder
    assert sorted(texts(agent)) == ["default.conf", "hosts/2-plain.example.com.conf", "http.conf"]
    assert (host.is_refused, host.refused_field) == (True, "certificate_id")


def test_a_certificate_of_another_agent_is_not_used(
    app: Flask, agent: Agent, save: Callable[..., ProxyHost], certificate: Certificate
) -> None:
    host = save()
    link(host, certificate)
    other = store(app, Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other"))
    with transaction():
        certificate.agent_id = other.id
    texts(agent)
    assert host.refused_field == "certificate_id"


def test_a_missing_file_that_nginx_refuses_is_shown_at_the_certificate(
    agent: Agent, save: Callable[..., ProxyHost], certificate: Certificate
) -> None:
    host = save()
    link(host, certificate)
    command = send(enqueue(agent))
    path = "hosts/1-app.example.com.conf"
    lines = (deployments.content(files_of(command)[path]) or "").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "ssl_certificate " in text)
    refuse(command, host, line=line, text="The certificate file is missing. nginx: cannot load certificate")
    assert (host.is_refused, host.refused_field) == (True, "certificate_id")
    assert "certificate file is missing" in host.refused_text


def test_a_set_aside_host_that_is_live_with_https_keeps_what_https_needs(
    agent: Agent, save: Callable[..., ProxyHost], certificate: Certificate
) -> None:
    """Else it would answer for every name on the port of HTTPS."""
    host = save()
    link(host, certificate)
    prove(send(enqueue(agent)))
    with transaction():
        certificate.is_present = False
        host.refused_generation = host.changed_generation
    files = texts(agent)
    assert "ssl_certificate" in files["hosts/1-app.example.com.conf"]
    assert "ssl_reject_handshake on;" in files["default.conf"]
    assert "ssl_protocols" in files["http.conf"]


def test_a_preview_shows_the_certificate_and_saves_nothing(
    agent: Agent, save: Callable[..., ProxyHost], certificate: Certificate
) -> None:
    host = save()
    spec = replace(proxy_hosts.spec_of(host), certificate_id=certificate.id, force_ssl=True)
    preview = deployments.preview(host, spec, agent)
    assert f"ssl_certificate {LIVE}/fullchain.pem;" in preview.text
    assert not db.session.new
    assert host.certificate_id is None


def test_a_tested_draft_with_a_certificate_brings_what_https_needs(
    agent: Agent, save: Callable[..., ProxyHost], certificate: Certificate
) -> None:
    host = save()
    spec = replace(proxy_hosts.spec_of(host), certificate_id=certificate.id)
    with transaction():
        command = deployments.test_draft(host, spec, agent, None)
    texts = {path: deployments.content(sha256) or "" for path, sha256 in files_of(command).items()}
    assert "ssl_reject_handshake on;" in texts["default.conf"]
    assert "ssl_certificate" in texts["hosts/1-app.example.com.conf"]
