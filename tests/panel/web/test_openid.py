"""Signing in through a provider, which is a real one; every step that a browser takes there is taken.
May import: panel and the fixtures of tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from panel.app import create_app
from panel.config import Config, ConfigError, OidcSettings
from panel.extensions import db, transaction
from panel.models import Identity, Role, User
from panel.oidc.provider import Provider
from panel.services import accounts, second_factors
from tests.conftest import PASSWORD, login
from tests.openid import CLIENT_ID, CLIENT_SECRET, PROGRAM, OpenIdProvider, running_openid_provider
from tests.product import UpstreamServer

REDIRECT = "https://panel.example/login/provider/answer"
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="glewlwyd is not installed; make test installs it")


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProvider]:
    with running_openid_provider(tmp_path_factory.mktemp("provider"), REDIRECT) as found:
        for name, role in (("maya", ""), ("otto", "operator"), ("root", "administrator"), ("alice", "viewer")):
            found.add_person(name, role)
        yield found


@pytest.fixture
def settings(provider: OpenIdProvider) -> OidcSettings:
    return OidcSettings(provider.issuer, CLIENT_ID, CLIENT_SECRET, REDIRECT, name="Acme ID", admits_unknown=True)


@pytest.fixture
def config(config: Config, settings: OidcSettings) -> Config:
    return replace(config, oidc=settings)


@pytest.fixture
def with_roles(app: Flask, settings: OidcSettings) -> None:
    """The panel takes roles from a claim."""
    roles = tuple((role.value, role.value) for role in Role)
    known: Config = app.config["WAYPOST"]
    app.config["WAYPOST"] = replace(known, oidc=replace(settings, role_claim="waypost_role", roles=roles))


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def begin(client: FlaskClient, path: str = "/login/provider") -> str:
    answer = client.get(path)
    assert answer.status_code == 302
    return str(answer.location)


def sign_in(client: FlaskClient, provider: OpenIdProvider, name: str) -> TestResponse:
    """The whole way: to the provider, and back."""
    return client.get(path_of(provider.approve(begin(client), name)))


def people(app: Flask) -> dict[str, User]:
    with app.app_context():
        found = {user.username: user for user in accounts.list_all()}
        db.session.expunge_all()
        return found


def test_the_request_has_state_nonce_and_a_challenge(client: FlaskClient, provider: OpenIdProvider) -> None:
    first, second = (parse_qs(urlsplit(begin(client)).query) for _ in range(2))
    assert first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == [REDIRECT]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
    assert CLIENT_SECRET not in str(first)


def test_somebody_new_becomes_a_viewer_without_a_password(
    app: Flask, client: FlaskClient, provider: OpenIdProvider
) -> None:
    answer = sign_in(client, provider, "maya")
    assert (answer.status_code, answer.location) == (303, "/")
    maya = people(app)["maya"]
    assert (maya.role, maya.has_password) == (Role.VIEWER, False)
    assert client.get("/account").status_code == 200
    for guess in ("", "nobody has this password"):
        assert app.test_client().post("/login", data={"username": "maya", "password": guess}).status_code == 422
    other = app.test_client()
    assert sign_in(other, provider, "maya").status_code == 303
    assert len(people(app)) == 1


def test_somebody_unknown_is_refused_where_that_is_set(
    app: Flask, client: FlaskClient, provider: OpenIdProvider, settings: OidcSettings
) -> None:
    app.config["WAYPOST"] = replace(app.config["WAYPOST"], oidc=replace(settings, admits_unknown=False))
    answer = sign_in(client, provider, "maya")
    assert answer.status_code == 403
    assert "ask an administrator for an invitation" in answer.text
    assert people(app) == {}


def test_a_known_name_is_no_proof(app: Flask, client: FlaskClient, alice: User, provider: OpenIdProvider) -> None:
    answer = sign_in(client, provider, "alice")
    assert answer.status_code == 403
    assert "There is a user named alice here already" in answer.text
    assert client.get("/account").status_code == 302


def test_linking_asks_for_the_password_and_then_lets_in(
    app: Flask, client: FlaskClient, alice: User, provider: OpenIdProvider
) -> None:
    login(client, alice)
    assert client.get("/login/provider").location == "/"
    assert client.post("/account/identities", data={"current": "a wrong guess"}).status_code == 422
    assert client.post("/account/identities", data={"current": PASSWORD}).status_code == 200
    assert sign_in(client, provider, "maya").location == "/account#sign-in"
    assert "maya@example.com" in client.get("/account").text
    other = app.test_client()
    assert sign_in(other, provider, "maya").status_code == 303
    assert "alice" in other.get("/account").text
    assert people(app)["alice"].role == Role.ADMINISTRATOR


def test_an_identity_is_linked_to_one_person_and_unlinked_by_them(
    app: Flask, client: FlaskClient, alice: User, bob: User, provider: OpenIdProvider
) -> None:
    for user in (alice, bob):
        browser = app.test_client()
        login(browser, user)
        browser.post("/account/identities", data={"current": PASSWORD})
        answer = sign_in(browser, provider, "maya")
        assert answer.status_code == (302 if user is alice else 409)
    with app.app_context():
        [identity_id] = db.session.scalars(db.select(Identity.id))
    login(client, bob)
    assert client.post(f"/account/identities/{identity_id}/unlink").status_code == 404
    login(client, alice)
    assert client.post(f"/account/identities/{identity_id}/unlink").status_code == 303


@pytest.mark.usefixtures("with_roles")
def test_roles_come_from_the_claim_at_each_sign_in(app: Flask, client: FlaskClient, provider: OpenIdProvider) -> None:
    sign_in(client, provider, "otto")
    assert people(app)["otto"].role == Role.OPERATOR
    with app.app_context(), transaction():
        accounts.set_role(accounts.get("otto"), Role.VIEWER)
    sign_in(app.test_client(), provider, "otto")
    assert people(app)["otto"].role == Role.OPERATOR


@pytest.mark.usefixtures("with_roles")
def test_without_a_role_in_the_claim_nobody_gets_in(app: Flask, client: FlaskClient, provider: OpenIdProvider) -> None:
    assert sign_in(client, provider, "maya").status_code == 403
    assert people(app) == {}


@pytest.mark.usefixtures("with_roles")
def test_the_claim_does_not_take_the_last_administrator(
    app: Flask, client: FlaskClient, alice: User, provider: OpenIdProvider
) -> None:
    login(client, alice)
    client.post("/account/identities", data={"current": PASSWORD})
    sign_in(client, provider, "alice")
    assert sign_in(app.test_client(), provider, "alice").status_code == 303
    assert people(app)["alice"].role == Role.ADMINISTRATOR


def test_a_disabled_person_stays_out(app: Flask, client: FlaskClient, provider: OpenIdProvider) -> None:
    sign_in(client, provider, "maya")
    with app.app_context(), transaction():
        accounts.disable(accounts.get("maya"))
    answer = sign_in(app.test_client(), provider, "maya")
    assert answer.status_code == 403
    assert "disabled" in answer.text


def test_a_second_factor_is_asked_for_after_the_provider_too(
    app: Flask, client: FlaskClient, alice: User, provider: OpenIdProvider
) -> None:
    login(client, alice)
    client.post("/account/identities", data={"current": PASSWORD})
    sign_in(client, provider, "maya")
    with app.app_context():
        with transaction():
            user = accounts.get("alice")
            second_factors.begin(user)
            secret = second_factors.secret(user)
        with transaction():
            second_factors.confirm(accounts.get("alice"), pyotp.TOTP(secret).now())
    other = app.test_client()
    assert sign_in(other, provider, "maya").location == "/login/code"
    assert other.get("/account").status_code == 302


def test_an_answer_is_for_the_browser_that_asked(app: Flask, client: FlaskClient, provider: OpenIdProvider) -> None:
    """Whoever makes somebody open the address of their own answer would log them in as a stranger."""
    back = path_of(provider.approve(begin(client), "maya"))
    victim = app.test_client()
    assert victim.get(back).status_code == 400
    begin(victim)
    assert victim.get(back).status_code == 400
    assert victim.get("/account").status_code == 302
    assert people(app) == {}


def test_an_answer_counts_once(client: FlaskClient, provider: OpenIdProvider) -> None:
    back = path_of(provider.approve(begin(client), "maya"))
    assert client.get(back).status_code == 303
    assert client.get(back).status_code == 400


def test_a_code_of_another_request_is_refused(app: Flask, client: FlaskClient, provider: OpenIdProvider) -> None:
    """The challenge and the nonce of this browser do not fit the code that was asked for by another one."""
    stolen = parse_qs(urlsplit(provider.approve(begin(client), "maya")).query)["code"][0]
    thief = app.test_client()
    state = parse_qs(urlsplit(begin(thief)).query)["state"][0]
    answer = thief.get("/login/provider/answer", query_string={"code": stolen, "state": state})
    assert answer.status_code == 400
    assert "did not confirm this sign-in" in answer.text


@pytest.mark.parametrize("query", ["", "?code=x", "?state=x&code=y", "?error=access_denied", "?state=%00&code=%ff"])
def test_a_made_up_answer_is_refused(client: FlaskClient, provider: OpenIdProvider, query: str) -> None:
    begin(client)
    assert client.get(f"/login/provider/answer{query}").status_code == 400


def test_a_denial_is_a_sentence(client: FlaskClient, provider: OpenIdProvider) -> None:
    state = parse_qs(urlsplit(begin(client)).query)["state"][0]
    answer = client.get("/login/provider/answer", query_string={"state": state, "error": "access_denied"})
    assert answer.status_code == 400
    assert "Acme ID did not let you in" in answer.text


def test_next_leads_nowhere_else(client: FlaskClient, provider: OpenIdProvider) -> None:
    for wanted, expected in (("/jobs", "/jobs"), ("//evil.example", "/")):
        url = begin(client, f"/login/provider?next={wanted}")
        assert client.get(path_of(provider.approve(url, "maya"))).location == expected
        client.post("/logout")


def test_a_provider_that_is_away_is_a_sentence(config: Config, settings: OidcSettings) -> None:
    away = replace(settings, issuer="http://127.0.0.1:9/api")
    client = create_app(replace(config, oidc=away)).test_client()
    answer = client.get("/login/provider")
    assert answer.status_code == 502
    assert "cannot be reached now" in answer.text


def test_an_answer_may_come_in_many_pieces(settings: OidcSettings) -> None:
    with running_wordy_provider() as issuer:
        url, _ = Provider(replace(settings, issuer=issuer)).begin()
    assert url.startswith(f"{issuer}/authorize?")


@contextmanager
def running_wordy_provider() -> Iterator[str]:
    """A provider that sends what it publishes without a length, byte by byte; its issuer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            issuer = f"http://127.0.0.1:{server.server_port}"
            more = {"authorization_endpoint": f"{issuer}/authorize", "jwks_uri": f"{issuer}/keys"}
            body = json.dumps({"keys": []} if self.path == "/keys" else {"issuer": issuer, **more}).encode()
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for byte in body:
                self.wfile.write(b"1\r\n%c\r\n" % byte)
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    with UpstreamServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_another_secret_of_the_client_is_refused(
    config: Config, settings: OidcSettings, provider: OpenIdProvider
) -> None:
    app = create_app(replace(config, oidc=replace(settings, client_secret="another")))
    assert sign_in(app.test_client(), provider, "maya").status_code == 400


def test_the_settings_are_checked_when_the_panel_starts(tmp_path: Path) -> None:
    good = {
        "PANEL_STATE_DIR": str(tmp_path),
        "PANEL_PUBLIC_URL": "https://panel.example/",
        "PANEL_OIDC_ISSUER": "https://id.example/realms/acme",
        "PANEL_OIDC_CLIENT_ID": "waypost",
        "PANEL_OIDC_CLIENT_SECRET": "s3cret",
        "PANEL_OIDC_ROLE_CLAIM": "groups",
    }
    bad = [
        ("PANEL_OIDC_ISSUER", "http://id.example"),
        ("PANEL_OIDC_ISSUER", "id.example"),
        ("PANEL_OIDC_CLIENT_ID", ""),
        ("PANEL_PUBLIC_URL", ""),
        ("PANEL_OIDC_UNKNOWN_PEOPLE", "administrator"),
        ("PANEL_OIDC_ROLES", "admins=root"),
    ]
    for name, value in bad:
        with pytest.raises(ConfigError, match=name):
            Config.from_env({**good, "PANEL_OIDC_ROLES": "", name: value})
    found = Config.from_env({**good, "PANEL_OIDC_ROLES": "ops team=operator, admins=administrator"}).oidc
    assert found is not None
    assert found.roles == (("ops team", "operator"), ("admins", "administrator"))
    assert found.redirect_url == REDIRECT
    assert "s3cret" not in repr(found)
