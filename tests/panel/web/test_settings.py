"""The settings of certificates: authorities, the order to fall back on, DNS credentials.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from panel.extensions import db
from panel.models import AcmeAuthority, Agent, CommandKind, DnsCredential, User
from panel.services import dns_credentials
from tests.certificates import PROVIDERS, add_authority, add_certificate, add_credential, credential
from tests.conftest import login
from tests.hosts import commands

EAB_KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"
WISH = {"name": "House CA", "directory_url": "https://ca.example.com/acme/directory"}
PAGES = ("/settings/authorities", "/settings/dns")


def soup(response: TestResponse, status: int = 200) -> BeautifulSoup:
    assert response.status_code == status
    return BeautifulSoup(response.text, "html.parser")


def authorities(app: Flask) -> dict[str, AcmeAuthority]:
    with app.app_context():
        found = db.session.query(AcmeAuthority).all()
        db.session.expunge_all()
        return {authority.name: authority for authority in found}


def test_the_settings_lead_to_their_first_page(alices: FlaskClient) -> None:
    assert alices.get("/settings").location == "/settings/authorities"


@pytest.mark.parametrize("path", PAGES)
def test_the_navigation_of_the_settings_marks_the_page(alices: FlaskClient, path: str) -> None:
    nav = soup(alices.get(path)).select_one("nav.subnav")
    assert nav is not None
    assert [link["href"] for link in nav.select("[aria-current=page]")] == [path]


def test_authorities_show_default_test_and_what_they_lack(app: Flask, alices: FlaskClient) -> None:
    add_authority(app, "Real", is_default=True)
    add_authority(app, "Test authority", is_test=True)
    add_authority(app, "ZeroSSL", needs_eab=True)
    text = soup(alices.get("/settings/authorities")).select_one("main table").text  # type: ignore[union-attr]
    for word in ("default", "test", "Needs an account"):
        assert word in text


def test_a_directory_of_ones_own_is_added_and_its_key_only_goes_in(app: Flask, alices: FlaskClient) -> None:
    data = {**WISH, "needs_eab": "y", "eab_kid": "kid-1", "eab_key": EAB_KEY, "email": "ops@example.com"}
    assert alices.post("/settings/authorities/new", data=data).location == "/settings/authorities"
    known = authorities(app)["House CA"]
    assert known.is_ready
    page = alices.get(f"/settings/authorities/{known.id}").text
    assert "Leave it empty to keep it" in page
    assert EAB_KEY not in page + alices.get("/settings/authorities").text
    assert EAB_KEY not in known.eab_key_sealed
    alices.post(f"/settings/authorities/{known.id}", data={**data, "eab_key": "", "email": "new@example.com"})
    changed = authorities(app)["House CA"]
    assert (changed.email, changed.eab_key_sealed) == ("new@example.com", known.eab_key_sealed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("directory_url", "http://ca.example.com/directory"),
        ("directory_url", "https://169.254.169.254/latest"),
        ("staging_directory_url", "ftp://x"),
        ("ca_pem", "nonsense"),
        ("email", "not an address"),
        ("eab_key", "?"),
    ],
)
def test_an_authority_is_refused_at_its_field(app: Flask, alices: FlaskClient, field: str, value: str) -> None:
    kid = "k" if field == "eab_key" else ""
    refused = soup(alices.post("/settings/authorities/new", data={**WISH, "eab_kid": kid, field: value}), 422)
    assert refused.select_one(f"#{field}-e")
    assert authorities(app) == {}


def test_a_refused_key_does_not_come_back(alices: FlaskClient) -> None:
    data = {**WISH, "name": "", "eab_kid": "k", "eab_key": EAB_KEY}
    assert EAB_KEY not in alices.post("/settings/authorities/new", data=data).text


def test_of_one_that_comes_with_waypost_only_the_account_is_set(app: Flask, alices: FlaskClient) -> None:
    authority_id = add_authority(app, "ZeroSSL", is_builtin=True, needs_eab=True)
    page = soup(alices.get(f"/settings/authorities/{authority_id}"))
    assert page.select_one("[name=directory_url]") is None
    alices.post(f"/settings/authorities/{authority_id}", data={"eab_kid": "kid", "eab_key": EAB_KEY, **WISH})
    known = authorities(app)["ZeroSSL"]
    assert known.is_ready
    assert known.directory_url == "https://zerossl.example.com/directory"


def test_default_and_fallbacks_are_chosen(app: Flask, alices: FlaskClient) -> None:
    first, second, third = (add_authority(app, name, is_default=name == "A") for name in ("A", "B", "C"))
    alices.post(f"/settings/authorities/{second}/default")
    order = {f"position-{first}": "2", f"position-{second}": "", f"position-{third}": "1", "position-999": "1"}
    alices.post("/settings/authorities/fallbacks", data=order)
    known = authorities(app)
    assert [name for name, one in known.items() if one.is_default] == ["B"]
    assert {name: one.fallback_position for name, one in known.items()} == {"A": 2, "B": None, "C": 1}


def test_the_agents_learn_of_a_new_order(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    first, second = add_authority(app, "A", is_default=True), add_authority(app, "B")
    add_certificate(app, agent, authority_id=first)
    alices.post("/settings/authorities/fallbacks", data={f"position-{second}": "1"})
    assert [command.kind for command in commands(app)] == [CommandKind.CONFIGURE_CERTIFICATE]


def test_an_authority_in_use_is_not_deleted(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    authority_id = add_authority(app)
    add_certificate(app, agent, authority_id=authority_id)
    assert "It cannot be deleted" in alices.get(f"/settings/authorities/{authority_id}").text
    assert alices.post(f"/settings/authorities/{authority_id}/delete").status_code == 409
    spare = add_authority(app, "Spare")
    assert alices.post(f"/settings/authorities/{spare}/delete").status_code == 303
    assert list(authorities(app)) == ["Example CA"]


def test_without_a_provider_the_page_says_who_tells_them(alices: FlaskClient) -> None:
    assert "No agent has told its DNS providers yet" in alices.get("/settings/dns").text


def test_forms_of_credentials_are_made_from_what_agents_say(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    add_credential(app, agent)
    choice = alices.get("/settings/dns/new").text
    assert "/settings/dns/new?provider=cloudflare" in choice
    page = soup(alices.get("/settings/dns/new?provider=cloudflare"))
    token = page.select_one("[name='values.token']")
    assert token is not None
    assert token["type"] == "password"
    assert page.select_one("[name='values.name'][type=text]")
    assert "A token with Zone:Read and DNS:Edit." in page.text
    assert "Where is the zone" in alices.get("/settings/dns/new?provider=nobody").text


@pytest.mark.parametrize(
    ("query", "found"),
    [("", ["cloudflare", "manual"]), ("cloud", ["cloudflare"]), ("MAN ual", ["manual"]), ("<b>", [])],
)
def test_providers_are_searched_by_their_names(
    app: Flask, alices: FlaskClient, agent: Agent, query: str, found: list[str]
) -> None:
    add_credential(app, agent)
    page = soup(alices.get("/settings/dns/new", query_string={"q": query}))
    links = [str(link["href"]).rpartition("=")[2] for link in page.select(".choices a")]
    assert links == found
    assert page.select_one("input[type=search]")["value"] == query  # type: ignore[index]
    assert ("No DNS provider has this name" in page.text) == (not found)


def test_a_credential_is_kept_sealed_and_never_shown(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    add_credential(app, agent, "Another")
    data = {"name": "Shop", "values.token": "t0p-s3cr3t", "values.name": "shop-account"}
    address = alices.post("/settings/dns/new?provider=cloudflare", data=data).location
    assert address == "/settings/dns/2#test"
    page = alices.get("/settings/dns/2").text
    assert "t0p-s3cr3t" not in page + alices.get("/settings/dns").text
    assert "shop-account" in page
    assert "Leave it empty to keep it" in page
    sealed = credential(app, 2).sealed_fields
    assert "t0p-s3cr3t" not in sealed
    alices.post("/settings/dns/2", data={"name": "Shop 2", "values.token": "", "values.name": "other"})
    with app.app_context():
        kept = dns_credentials.open_values(dns_credentials.get(2))
    assert kept == {"token": "t0p-s3cr3t", "name": "other"}


def test_saved_values_are_tried_by_an_agent_at_once(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    add_credential(app, agent, "Another")
    alices.post("/settings/dns/new?provider=cloudflare", data={"name": "Shop", "values.token": "t0p-s3cr3t"})
    alices.post("/settings/dns/2", data={"name": "Shop", "values.token": "0ther-s3cr3t"})
    jobs = commands(app)
    assert [(job.kind, job.agent_id, job.payload) for job in jobs] == [
        (CommandKind.CHECK_DNS_CREDENTIAL, agent.id, {"dns_credential_id": 2, "zone": ""})
    ] * 2


def test_a_missing_value_is_told_at_its_field(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    add_credential(app, agent)
    data = {"name": "Shop", "values.token": "", "values.name": "kept"}
    refused = soup(alices.post("/settings/dns/new?provider=cloudflare", data=data), 422)
    assert refused.select_one("[id='values.token-e']")
    assert refused.select_one("[name='values.name'][value=kept]")


def test_a_name_twice_is_refused_and_the_secret_does_not_come_back(
    app: Flask, alices: FlaskClient, agent: Agent
) -> None:
    add_credential(app, agent)
    data = {"name": "Zone of the shop", "values.token": "an0ther-s3cr3t"}
    refused = alices.post("/settings/dns/new?provider=cloudflare", data=data)
    assert soup(refused, 422).select_one("#name-e")
    assert "an0ther-s3cr3t" not in refused.text


def test_a_test_is_a_job_with_a_result(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    credential_id = add_credential(app, agent)
    response = alices.post(f"/settings/dns/{credential_id}/test", data={"zone": "example.com"})
    (job,) = commands(app)
    assert response.location == f"/jobs/{job.id}"
    assert (job.kind, job.payload["zone"]) == (CommandKind.CHECK_DNS_CREDENTIAL, "example.com")
    assert "s3cr3t-token" not in str(job.payload)
    assert f'href="/jobs/{job.id}"' in alices.get("/settings/dns").text


@pytest.mark.parametrize("zone", ["", "bad_zone", "*.example.com", "<b>"])
def test_a_zone_that_is_none_is_not_tested(app: Flask, alices: FlaskClient, agent: Agent, zone: str) -> None:
    credential_id = add_credential(app, agent)
    response = alices.post(f"/settings/dns/{credential_id}/test", data={"zone": zone})
    assert response.location == f"/settings/dns/{credential_id}#test"
    assert commands(app) == []


def test_what_the_last_test_said_is_in_the_list(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    credential_id = add_credential(app, agent)
    with app.app_context():
        row = db.session.get_one(DnsCredential, credential_id)
        row.test_error = "The token may not edit <b>example.com</b>."
        db.session.commit()
    text = alices.get("/settings/dns").text
    assert "Test failed" in text
    assert "The token may not edit &lt;b&gt;example.com" in text


def test_a_credential_in_use_is_not_deleted(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    credential_id = add_credential(app, agent)
    certificate_id = add_certificate(app, agent, challenge="dns-01", dns_credential_id=credential_id)
    assert f'href="/certificates/{certificate_id}"' in alices.get("/settings/dns").text
    assert alices.post(f"/settings/dns/{credential_id}/delete").status_code == 409
    spare = add_credential(app, agent, "Spare")
    assert alices.post(f"/settings/dns/{spare}/delete").status_code == 303
    assert alices.get(f"/settings/dns/{spare}").status_code == 404


def test_a_credential_whose_provider_nobody_knows_now_stays_listed(
    app: Flask, alices: FlaskClient, agent: Agent
) -> None:
    credential_id = add_credential(app, agent)
    with app.app_context():
        db.session.get_one(Agent, agent.id).dns_providers = PROVIDERS[1:]
        db.session.commit()
    assert "Zone of the shop" in alices.get("/settings/dns").text
    assert alices.get(f"/settings/dns/{credential_id}").status_code == 404


def test_a_changed_secret_key_breaks_no_page(app: Flask, alices: FlaskClient, agent: Agent) -> None:
    credential_id = add_credential(app, agent)
    with app.app_context():
        db.session.get_one(DnsCredential, credential_id).sealed_fields = "not sealed with this key"
        db.session.commit()
    assert alices.get("/settings/dns").status_code == 200
    assert alices.get(f"/settings/dns/{credential_id}").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_operators_look_and_see_no_secret_and_no_button(
    app: Flask, client: FlaskClient, bob: User, agent: Agent, path: str
) -> None:
    add_authority(app, "Real", is_default=True)
    add_authority(app, "Other")
    add_credential(app, agent)
    login(client, bob)
    main = soup(client.get(path)).select_one("main")
    assert main is not None
    assert main.select("form, button") == []
    assert main.select('a[href*="/new"], a[href$="/1"]') == []


@pytest.mark.parametrize(
    "path", ["/settings/authorities/new", "/settings/authorities/1", "/settings/dns/new", "/settings/dns/1"]
)
def test_forms_are_for_administrators(app: Flask, client: FlaskClient, bob: User, agent: Agent, path: str) -> None:
    add_authority(app)
    add_credential(app, agent)
    login(client, bob)
    assert client.get(path).status_code == 403
    assert client.post(path).status_code == 403


@pytest.mark.parametrize(
    "path", ["/settings/authorities/1/default", "/settings/authorities/fallbacks", "/settings/dns/1/test"]
)
def test_buttons_need_a_token(app: Flask, alices: FlaskClient, path: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    assert alices.post(path).status_code == 400
