"""Hosts and HTTPS: the column, the route, one click, the form's section.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db, transaction
from panel.models import Agent, CommandKind, ProxyHost, User
from panel.models.types import utcnow
from panel.services import proxy_hosts
from panel.web.certificates import view
from panel.web.hosts.view import site_url
from tests.certificates import FAILURE, add_certificate, add_credential, add_wish, certificate
from tests.conftest import login
from tests.hosts import add_host, commands, make_live


@pytest.fixture
def bobs(bobs: FlaskClient, authority: int, agent: Agent) -> FlaskClient:
    """Bob's browser, with an authority and an agent to choose."""
    return bobs


@pytest.fixture
def form(agent: Agent) -> dict[str, str]:
    """A host form that can be sent."""
    return {
        "domain_names": "app.example.com",
        "forward_scheme": "http",
        "forward_host": "10.0.0.5",
        "forward_port": "3000",
        "agent_id": agent.id,
        "is_enabled": "y",
    }


def link(app: Flask, host_id: int, certificate_id: int) -> None:
    with app.app_context(), transaction():
        db.session.get_one(ProxyHost, host_id).certificate_id = certificate_id


def main_of(client: FlaskClient, path: str) -> BeautifulSoup:
    response = client.get(path)
    assert response.status_code == 200
    return BeautifulSoup(response.text, "html.parser")


@pytest.mark.parametrize(
    ("values", "word", "tone"),
    [
        ({}, "60 days", "ok"),
        ({"left": 20}, "20 days", "warn"),
        ({"left": 2}, "2 days", "bad"),
        ({"left": -1}, "expired", "bad"),
        ({"revoked_at": utcnow()}, "revoked", "bad"),
        ({"is_present": False, "problem": "The files are gone."}, "certificate missing", "bad"),
        ({"is_present": False, "last_failure": FAILURE}, "certificate failed", "bad"),
        ({"is_present": False}, "waiting for certificate", "warn"),
    ],
)
def test_the_tls_of_a_host_in_a_word(app: Flask, agent: Agent, values: dict[str, Any], word: str, tone: str) -> None:
    host_id = add_host(app, agent)
    link(app, host_id, add_certificate(app, agent, **values))
    with app.app_context():
        found = view.host_tls(proxy_hosts.get(host_id), None, utcnow())
    assert (found.word, found.tone) == (word, tone)


def test_the_list_and_the_route_say_it(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    plain, secure = add_host(app, agent, "plain.example.com"), add_host(app, agent)
    link(app, secure, add_certificate(app, agent))
    page = main_of(bobs, "/hosts")
    assert page.select_one(f"#host-{plain} [data-cell=tls]").text.strip() == "no HTTPS"  # type: ignore[union-attr]
    assert page.select_one(f"#host-{secure} [data-cell=tls]").text.strip() == "60 days"  # type: ignore[union-attr]
    hops = [hop.text for hop in main_of(bobs, f"/hosts/{secure}").select(".hop")]
    assert "TLS" in hops[1]
    assert "60 days left" in hops[1]


def test_a_missing_certificate_is_said_to_be_served_as_plain_http(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    certificate_id = add_certificate(app, agent, is_present=False, problem="The folder is gone.")
    link(app, host_id, certificate_id)
    with app.app_context(), transaction():
        proxy_hosts.get(host_id).force_ssl = True
    page = main_of(bobs, f"/hosts/{host_id}")
    assert "certificate missing" in page.text
    assert "It is served as plain HTTP. The folder is gone." in page.text
    tls = page.select(".hop")[1].text
    assert "certificate missing, so it is served by plain HTTP" in tls
    assert "redirects" not in tls
    page = main_of(bobs, f"/certificates/{certificate_id}")
    assert "The folder is gone. Hosts that use it are served by plain HTTP until it is back." in page.text
    assert "plain HTTP for now" in page.text


def test_links_to_a_site_use_https_and_the_agents_port_once_it_is_live(app: Flask, agent: Agent) -> None:
    host_id = add_host(app, agent)
    certificate_id = add_certificate(app, agent)
    make_live(app, agent)
    link(app, host_id, certificate_id)
    with app.app_context(), transaction():
        host = proxy_hosts.get(host_id)
        assert site_url(host) == "https://app.example.com:7443"
        host.agent.https_port = 443
        assert site_url(host) == "https://app.example.com"
        proxy_hosts.note_changed_file(host)
        db.session.refresh(host.agent)
        assert site_url(host).startswith("http://app.example.com:7880")


def test_one_click_requests_links_and_redirects(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    button = main_of(bobs, f"/hosts/{host_id}").select_one(f'main form[action="/hosts/{host_id}/request-ssl"]')
    assert button is not None
    addresses = {bobs.post(f"/hosts/{host_id}/request-ssl", data={"force_ssl": "y"}).location for _ in range(50)}
    (job,) = [command for command in commands(app) if command.kind == CommandKind.ISSUE_CERTIFICATE]
    assert addresses == {f"/jobs/{job.id}"}
    with app.app_context():
        host = proxy_hosts.get(host_id)
        assert (host.certificate_id, host.force_ssl) == (job.certificate_id, True)
    page = main_of(bobs, f"/hosts/{host_id}")
    assert "waiting for certificate" in page.text
    assert page.select_one(f'a[href="/jobs/{job.id}"]')


def test_options_of_the_click(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent)
    bobs.post(f"/hosts/{host_id}/request-ssl", data={"staging": "y"})
    assert commands(app)[-1].payload["dry_run"] is True
    with app.app_context():
        assert proxy_hosts.get(host_id).certificate_id is None


def test_a_wildcard_host_is_led_to_the_form(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent, "*.example.com")
    page = main_of(bobs, f"/hosts/{host_id}")
    assert page.select_one(f'a[href="/certificates/new?host={host_id}"]')
    assert bobs.post(f"/hosts/{host_id}/request-ssl").location == f"/certificates/new?host={host_id}"
    assert "wildcard" in bobs.get("/hosts").text
    assert commands(app) == []


def test_a_wildcard_host_with_a_fitting_credential_needs_no_form(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    credential_id = add_credential(app, agent)
    with app.app_context():
        db.session.execute(db.text("UPDATE dns_credential SET zone = 'example.com', tested_at = '2026-11-24 10:00:00'"))
        db.session.commit()
    host_id = add_host(app, agent, "*.example.com")
    assert bobs.post(f"/hosts/{host_id}/request-ssl").location.startswith("/jobs/")
    certificate_id = commands(app)[-1].certificate_id
    assert certificate_id is not None
    assert certificate(app, certificate_id).dns_credential_id == credential_id


def test_one_that_exists_is_offered(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent, "example.com", "*.example.com")
    host_id = add_host(app, agent)
    page = main_of(bobs, f"/hosts/{host_id}")
    assert page.select_one(f'form[action="/certificates/{certificate_id}/use"]')


@pytest.mark.parametrize(("path", "status"), [("/hosts/999/request-ssl", 404), ("/hosts/1/request-ssl", 403)])
def test_the_click_needs_an_editor_and_a_host(
    app: Flask, client: FlaskClient, bob: User, charlie: User, agent: Agent, path: str, status: int
) -> None:
    add_host(app, agent)
    login(client, bob if status == 404 else charlie)
    assert client.post(path).status_code == status
    assert client.get(path).status_code == 405


def test_a_viewer_sees_how_it_stands_and_no_button(
    app: Flask, client: FlaskClient, charlie: User, agent: Agent
) -> None:
    host_id = add_host(app, agent)
    login(client, charlie)
    page = main_of(client, f"/hosts/{host_id}")
    assert "no HTTPS" in page.text
    assert page.select("main form[method=post]") == []


def test_the_form_offers_certificates_that_are_good_for_its_names(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    fitting = add_certificate(app, agent, "*.example.com")
    other = add_certificate(app, agent, "other.example.org")
    host_id = add_host(app, agent)
    values = [
        str(option["value"]) for option in main_of(bobs, f"/hosts/{host_id}/edit").select("#certificate_id option")
    ]
    assert values == ["", "request", str(fitting)]
    assert str(other) not in values


def test_the_choice_follows_the_names_that_are_typed(
    app: Flask, bobs: FlaskClient, agent: Agent, form: dict[str, str]
) -> None:
    certificate_id = add_certificate(app, agent)
    shown = bobs.post("/hosts/preview", data=form, headers={"HX-Request": "true"}).text
    assert 'hx-target="#certificate-field"' in shown
    assert f'value="{certificate_id}"' in shown
    form["domain_names"] = "elsewhere.example.com"
    shown = bobs.post("/hosts/preview", data=form, headers={"HX-Request": "true"}).text
    assert f'value="{certificate_id}"' not in shown


def test_tls_settings_are_saved_and_told_as_history(
    app: Flask, bobs: FlaskClient, agent: Agent, form: dict[str, str]
) -> None:
    certificate_id = add_certificate(app, agent)
    host_id = add_host(app, agent)
    data = {
        **form,
        "version": "1",
        "certificate_id": str(certificate_id),
        "force_ssl": "y",
        "hsts": "y",
        "then": "save",
    }
    assert bobs.post(f"/hosts/{host_id}/edit", data=data).status_code == 303
    with app.app_context():
        host = proxy_hosts.get(host_id)
        assert (host.certificate_id, host.force_ssl, host.hsts, host.http2) == (certificate_id, True, True, False)
    changed = [name.text for name in main_of(bobs, f"/hosts/{host_id}").select("ul.hist li:first-child dt")]
    assert changed[-4:] == ["Certificate", "Redirect to HTTPS", "HSTS", "HTTP/2"]


@pytest.mark.parametrize(
    ("value", "sentence"), [("x", "Choose one"), ("999", "deleted meanwhile"), ("-1", "Choose one")]
)
def test_a_certificate_that_is_not_one_is_refused_at_its_field(
    bobs: FlaskClient, form: dict[str, str], value: str, sentence: str
) -> None:
    response = bobs.post("/hosts/new", data={**form, "certificate_id": value, "then": "save"})
    assert response.status_code == 422
    error = BeautifulSoup(response.text, "html.parser").select_one("#certificate_id-e")
    assert error is not None
    assert sentence in error.text


def test_a_certificate_of_other_names_is_refused_at_its_field(
    app: Flask, bobs: FlaskClient, agent: Agent, form: dict[str, str]
) -> None:
    other = add_certificate(app, agent, "other.example.org")
    response = bobs.post("/hosts/new", data={**form, "certificate_id": str(other), "then": "save"})
    assert response.status_code == 422
    assert "is not for app.example.com" in response.text


def test_a_new_host_can_be_applied_and_given_a_certificate_in_one_go(
    app: Flask, bobs: FlaskClient, form: dict[str, str]
) -> None:
    data = {**form, "certificate_id": "request", "force_ssl": "y", "then": "apply"}
    address = bobs.post("/hosts/new", data=data).location
    kinds = {command.kind: command for command in commands(app)}
    assert set(kinds) == {CommandKind.APPLY_CONFIG, CommandKind.ISSUE_CERTIFICATE}
    assert address == f"/jobs/{kinds[CommandKind.ISSUE_CERTIFICATE].id}"


def test_saving_only_requests_nothing(app: Flask, bobs: FlaskClient, form: dict[str, str]) -> None:
    bobs.post("/hosts/new", data={**form, "certificate_id": "request", "then": "save"})
    assert commands(app) == []


def test_a_failed_wish_says_why_on_the_hosts_page(app: Flask, bobs: FlaskClient, agent: Agent, authority: int) -> None:
    host_id = add_host(app, agent)
    link(app, host_id, add_wish(app, agent, authority_id=authority, last_failure=FAILURE, failures=1))
    page = main_of(bobs, f"/hosts/{host_id}")
    assert str(FAILURE["sentence"]) in page.text
    assert "certificate failed" in page.text
