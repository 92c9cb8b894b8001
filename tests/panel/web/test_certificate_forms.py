"""Requesting and uploading certificates: the forms, their errors, the check, the switch to DNS.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from panel.extensions import db
from panel.models import Agent, CommandKind, UploadedKey, User
from panel.models.types import utcnow
from panel.services import proxy_hosts
from tests.certificates import PROVIDERS, add_authority, add_certificate, add_credential, certificate
from tests.conftest import login, store
from tests.hosts import add_host, commands

HTMX = {"HX-Request": "true"}


@pytest.fixture
def bobs(bobs: FlaskClient, authority: int, agent: Agent) -> FlaskClient:
    """Bob's browser, with an authority and an agent to choose."""
    return bobs


@pytest.fixture
def wish(authority: int, agent: Agent) -> dict[str, Any]:
    """A form that can be sent."""
    return {
        "domain_names": "app.example.com\nwww.example.com",
        "authority_id": str(authority),
        "challenge": "http-01",
        "key_type": "ec-256",
        "agent_id": agent.id,
        "host_id": "",
    }


def soup(response: TestResponse, status: int = 200) -> BeautifulSoup:
    assert response.status_code == status
    return BeautifulSoup(response.text, "html.parser")


def error_of(response: TestResponse, field: str) -> str:
    """The sentence at a field of a refused form."""
    found = soup(response, 422).select_one(f"[id='{field}-e']")
    return found.text if found else ""


def test_a_request_makes_a_certificate_and_one_order(app: Flask, bobs: FlaskClient, wish: dict[str, Any]) -> None:
    addresses = {bobs.post("/certificates/new", data=wish).location for _ in range(3)}
    (job,) = commands(app)
    assert addresses == {f"/jobs/{job.id}"}
    assert job.kind == CommandKind.ISSUE_CERTIFICATE
    assert job.certificate_id is not None
    assert certificate(app, job.certificate_id).domain_names == ["app.example.com", "www.example.com"]


def test_the_form_begins_with_the_default_authority_http_and_p256(bobs: FlaskClient, authority: int) -> None:
    page = soup(bobs.get("/certificates/new"))
    assert page.select_one(f'#authority_id option[selected][value="{authority}"]')
    assert page.select_one('[name=challenge][value="http-01"][checked]')
    assert page.select_one('#key_type option[selected][value="ec-256"]')


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("domain_names", "", "Write at least one name"),
        ("domain_names", "bad_name.example.com", "bad_name"),
        ("domain_names", "a.example.com a.example.com", "written twice"),
        ("authority_id", "999", "deleted meanwhile"),
        ("authority_id", "x", "deleted meanwhile"),
        ("key_type", "dsa-1024", "Choose one of the keys"),
        ("agent_id", "nobody", "does not exist any more"),
        ("profile", "two words", "one word"),
        ("propagation_seconds", "soon", "number of seconds"),
    ],
)
def test_each_refusal_stands_at_its_field_and_values_stay(
    app: Flask, bobs: FlaskClient, wish: dict[str, Any], field: str, value: str, sentence: str
) -> None:
    response = bobs.post("/certificates/new", data={**wish, "profile": "classic", field: value})
    assert sentence in error_of(response, field)
    page = soup(response, 422)
    assert page.select_one("[role=alert] a") is not None
    if field != "profile":
        assert page.select_one('[name=profile][value="classic"]')
    assert commands(app) == []


@pytest.mark.parametrize("challenge", ["", "tls-alpn-01", "http-01 "])
def test_only_the_two_challenges_are_taken(bobs: FlaskClient, wish: dict[str, Any], challenge: str) -> None:
    response = bobs.post("/certificates/new", data={**wish, "challenge": challenge})
    assert "Choose how" in error_of(response, "challenge")


def test_a_wildcard_by_http_is_explained_with_one_click_to_dns(
    app: Flask, bobs: FlaskClient, agent: Agent, wish: dict[str, Any]
) -> None:
    credential_id = add_credential(app, agent)
    wild = {**wish, "domain_names": "*.example.com"}
    refused = bobs.post("/certificates/new", data=wild)
    assert "authorities check by DNS only" in error_of(refused, "challenge")
    button = soup(refused, 422).select_one('button[name=switch][value="dns-01"]')
    assert button is not None
    switched = soup(bobs.post("/certificates/new", data={**wild, "switch": "dns-01"}))
    assert switched.select_one('[name=challenge][value="dns-01"][checked]')
    assert switched.select_one("button[name=switch]") is None
    assert "*.example.com" in switched.text
    assert commands(app) == []
    by_dns = {**wild, "challenge": "dns-01", "dns_credential_id": str(credential_id)}
    bobs.post("/certificates/new", data=by_dns)
    (job,) = commands(app)
    assert job.certificate_id is not None
    assert certificate(app, job.certificate_id).dns_credential_id == credential_id


def test_looking_at_what_is_typed_refuses_nothing(app: Flask, bobs: FlaskClient, wish: dict[str, Any]) -> None:
    data = {**wish, "domain_names": "*.example.com", "switch": "look"}
    page = soup(bobs.post("/certificates/new", data=data, headers=HTMX))
    assert page.select_one("form#certificate-form")
    assert page.select_one("[role=alert]") is None
    assert page.select_one("button[name=switch]")
    assert commands(app) == []


def test_dns_needs_a_credential(app: Flask, bobs: FlaskClient, wish: dict[str, Any]) -> None:
    response = bobs.post("/certificates/new", data={**wish, "challenge": "dns-01"})
    assert "needs a DNS credential" in error_of(response, "dns_credential_id")


def test_check_first_asks_the_agent_and_makes_nothing(app: Flask, bobs: FlaskClient, wish: dict[str, Any]) -> None:
    shown = soup(bobs.post("/certificates/check", data=wish, headers=HTMX))
    (job,) = commands(app)
    assert job.kind == CommandKind.CHECK_NAMES
    assert shown.select_one(f'[hx-sse\\:connect="/jobs/{job.id}/stream"]')
    assert shown.select_one("html") is None
    assert bobs.post("/certificates/check", data=wish).status_code == 303
    assert "No certificate" in bobs.get("/certificates?q=x").text


def test_a_refused_check_is_shown_in_the_form(bobs: FlaskClient, wish: dict[str, Any]) -> None:
    response = bobs.post("/certificates/check", data={**wish, "domain_names": "bad_name.example.com"}, headers=HTMX)
    assert response.status_code == 422
    assert response.headers["HX-Retarget"] == "#certificate-form"


def test_what_exists_already_is_not_ordered_again(
    app: Flask, bobs: FlaskClient, agent: Agent, wish: dict[str, Any], authority: int
) -> None:
    add_certificate(app, agent, "app.example.com", "www.example.com", authority_id=authority)
    assert "already" in error_of(bobs.post("/certificates/new", data=wish), "domain_names")
    assert commands(app) == []


def test_a_host_is_linked_with_what_is_requested_for_it(
    app: Flask, bobs: FlaskClient, agent: Agent, wish: dict[str, Any]
) -> None:
    host_id = add_host(app, agent, "app.example.com")
    page = soup(bobs.get(f"/certificates/new?host={host_id}"))
    names = page.select_one("textarea[name=domain_names]")
    assert names is not None
    assert names.text.strip() == "app.example.com"
    data = {**wish, "domain_names": "app.example.com", "host_id": str(host_id), "force_ssl": "y"}
    bobs.post("/certificates/new", data=data)
    with app.app_context():
        host = proxy_hosts.get(host_id)
        assert (host.certificate_id, host.force_ssl) == (1, True)


@pytest.mark.parametrize("host", ["999", "x", "-1", "99999999999999"])
def test_an_unknown_host_in_the_address_is_ignored(bobs: FlaskClient, host: str) -> None:
    assert bobs.get(f"/certificates/new?host={host}").status_code == 200


def test_a_wildcard_host_begins_with_dns(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    host_id = add_host(app, agent, "*.example.com", "a.example.com")
    page = soup(bobs.get(f"/certificates/new?host={host_id}"))
    assert page.select_one('[name=challenge][value="dns-01"][checked]')
    names = page.select_one("textarea[name=domain_names]")
    assert names is not None
    assert names.text.split() == ["*.example.com"]


def test_a_test_authority_says_so_in_the_form(app: Flask, bobs: FlaskClient, wish: dict[str, Any]) -> None:
    test = add_authority(app, "Test authority", is_test=True)
    page = soup(bobs.post("/certificates/new", data={**wish, "authority_id": str(test), "switch": "look"}))
    assert "browsers do not trust these certificates" in page.text


def test_credentials_are_chosen_by_name_and_never_shown(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_credential(app, agent, token="very-s3cr3t")
    text = bobs.get("/certificates/new").text
    assert "Zone of the shop" in text
    assert "very-s3cr3t" not in text


def make_pem(passphrase: str = "") -> tuple[str, str]:
    """A self-signed certificate for app.example.com and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.example.com")])
    now = utcnow()
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + timedelta(days=90))
    names = x509.SubjectAlternativeName([x509.DNSName("app.example.com")])
    leaf = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    sealing = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)
    return leaf.public_bytes(Encoding.PEM).decode(), private.decode()


def test_an_upload_goes_to_the_agent_and_its_key_is_not_shown_again(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    leaf, key = make_pem()
    response = bobs.post("/certificates/upload", data={"certificate_pem": leaf, "key_pem": key, "agent_id": agent.id})
    (job,) = commands(app)
    assert response.location == f"/jobs/{job.id}"
    assert job.kind == CommandKind.INSTALL_CERTIFICATE
    with app.app_context():
        (kept,) = db.session.query(UploadedKey).all()
        assert "PRIVATE KEY" not in kept.sealed_key
    for address in (f"/jobs/{job.id}", "/certificates/1", "/certificates", "/certificates/1/replace"):
        assert key.splitlines()[1] not in bobs.get(address).text
    assert bobs.post(f"/jobs/{job.id}/retry").status_code == 409


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"certificate_pem": ""}, "certificate_pem"),
        ({"certificate_pem": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"}, "certificate_pem"),
        ({"key_pem": ""}, "key_pem"),
        ({"key_pem": make_pem()[1]}, "key_pem"),
        ({"chain_pem": "nonsense"}, "chain_pem"),
        ({"agent_id": "nobody"}, "agent_id"),
    ],
)
def test_an_upload_is_refused_at_its_field_and_the_key_does_not_come_back(
    app: Flask, bobs: FlaskClient, agent: Agent, change: dict[str, str], field: str
) -> None:
    leaf, key = make_pem()
    data = {"certificate_pem": leaf, "key_pem": key, "agent_id": agent.id, **change}
    response = bobs.post("/certificates/upload", data=data)
    assert error_of(response, field)
    assert key.splitlines()[1] not in response.text
    assert commands(app) == []


def test_an_encrypted_key_asks_for_its_passphrase(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    leaf, key = make_pem("open sesame")
    data = {"certificate_pem": leaf, "key_pem": key, "agent_id": agent.id}
    assert error_of(bobs.post("/certificates/upload", data=data), "passphrase")
    wrong = bobs.post("/certificates/upload", data={**data, "passphrase": "wrong-passphrase"})
    assert error_of(wrong, "passphrase")
    assert "wrong-passphrase" not in wrong.text
    assert bobs.post("/certificates/upload", data={**data, "passphrase": "open sesame"}).status_code == 303


def test_an_upload_is_replaced_in_place(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent, source="upload")
    leaf, key = make_pem()
    assert "Replace app.example.com" in bobs.get(f"/certificates/{certificate_id}/replace").text
    data = {"certificate_pem": leaf, "key_pem": key}
    assert bobs.post(f"/certificates/{certificate_id}/replace", data=data).status_code == 303
    (job,) = commands(app)
    assert job.certificate_id == certificate_id


@pytest.mark.parametrize("path", ["/certificates/new", "/certificates/check", "/certificates/upload"])
def test_forms_need_an_editor_and_a_token(app: Flask, client: FlaskClient, bob: User, charlie: User, path: str) -> None:
    login(client, charlie)
    assert client.post(path).status_code == 403
    login(client, bob)
    app.config["WTF_CSRF_ENABLED"] = True
    assert client.post(path).status_code == 400


def test_another_agent_can_be_chosen(app: Flask, bobs: FlaskClient, wish: dict[str, Any]) -> None:
    other = store(app, Agent(id="other", name="other", dns_providers=PROVIDERS))
    bobs.post("/certificates/new", data={**wish, "agent_id": other.id})
    (job,) = commands(app)
    assert job.agent_id == "other"
