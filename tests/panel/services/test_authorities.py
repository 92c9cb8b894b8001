"""Authorities: those that come along, what the environment says, what may be entered, who may do what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from panel.config import Config
from panel.errors import Conflict, Forbidden, Invalid
from panel.extensions import db, transaction
from panel.models import AcmeAuthority, Agent, CommandKind, Event, User
from panel.services import agent_specs, authorities, builtin_authorities, certificate_jobs, certificates
from panel.services.authorities import AuthoritySpec
from tests.panel.services.certifying import certificate_of, issue, order, set_up

pytestmark = pytest.mark.usefixtures("context")

URL = "https://acme.example.com/directory"
EAB_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
TEST_AUTHORITY: dict[str, Any] = {"acme_directory": "https://127.0.0.1:14000/dir", "acme_dns_server": "127.0.0.1:8053"}


@pytest.fixture(autouse=True)
def _builtin(context: None, config: Config) -> None:
    set_up(config)


def named(name: str) -> AcmeAuthority:
    found = db.session.scalar(select(AcmeAuthority).where(AcmeAuthority.name == name))
    assert found is not None
    return found


def create(**values: Any) -> AcmeAuthority:
    with transaction():
        return authorities.create(AuthoritySpec(**{"name": "Company", "directory_url": URL, **values}), None)


def test_four_come_along_and_a_second_start_makes_no_more(config: Config) -> None:
    set_up(config)
    found = {one.name: one for one in authorities.list_all()}
    assert set(found) == {"Let's Encrypt", "Let's Encrypt staging", "ZeroSSL", "Google Trust Services"}
    assert found["Let's Encrypt"].staging_directory_url == found["Let's Encrypt staging"].directory_url
    assert found["Let's Encrypt staging"].is_test
    assert not found["ZeroSSL"].is_ready
    assert authorities.default() is found["Let's Encrypt"]
    assert authorities.list_all()[0] is found["Let's Encrypt"]


def test_the_test_authority_is_the_default_while_its_setting_is_there(config: Config) -> None:
    set_up(replace(config, **TEST_AUTHORITY))
    test = named("Test authority")
    assert (authorities.default(), test.is_test, test.dns_server) == (test, True, "127.0.0.1:8053")
    set_up(config)
    assert [one.name for one in authorities.list_all() if one.is_default] == ["Let's Encrypt"]
    assert not db.session.scalar(select(AcmeAuthority.id).where(AcmeAuthority.name == "Test authority"))


def test_a_test_authority_that_renews_something_stays_but_is_asked_no_more(config: Config, agent: Agent) -> None:
    set_up(replace(config, **TEST_AUTHORITY))
    issue(agent, "app.example.com")
    set_up(config)
    assert not named("Test authority").is_ready
    assert authorities.default() is named("Let's Encrypt")
    with pytest.raises(Invalid, match="not there any more"):
        certificates.request(
            certificates.CertificateSpec(agent.id, ("b.example.com",), named("Test authority").id), None
        )


def test_staging_is_the_default_only_while_the_environment_says_so(config: Config) -> None:
    set_up(replace(config, letsencrypt_staging=True))
    assert authorities.default() is named("Let's Encrypt staging")
    set_up(config)
    assert authorities.default() is named("Let's Encrypt")


def test_what_a_person_made_the_default_stays_over_a_restart(config: Config, alice: User) -> None:
    with transaction():
        authorities.set_default(named("Let's Encrypt staging"), db.session.merge(alice))
    set_up(config)
    assert authorities.default() is named("Let's Encrypt staging")


def test_the_environments_address_is_that_of_every_account_without_one(app: Flask, config: Config) -> None:
    assert authorities.email_of(named("Let's Encrypt")) == ""
    app.config["WAYPOST"] = replace(config, letsencrypt_email="ops@example.com")
    assert authorities.email_of(named("Let's Encrypt")) == "ops@example.com"
    db.session.rollback()
    assert authorities.email_of(create(email="me@example.com")) == "me@example.com"


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.example.com/directory",
        "ftp://acme.example.com",
        "acme.example.com",
        "https://",
        "https://169.254.169.254/directory",
        "https://2852039166/directory",
        "https://0xa9fea9fe/",
        "https://[fe80::1]/directory",
        "https://[::ffff:169.254.169.254]/",
        "https://metadata.google.internal/directory",
        "https://0.0.0.0/",
        "https://user:secret@acme.example.com/",
        "https://acme.example.com/#x",
        "https://acme.example.com:99999/",
        "https://acme.example.com:/",
        "https://acme.example.com/a b",
        "https://acme.example.com/\x00",
        "https://acme.example.com\\@evil",
        "https://" + "a" * 250 + ".example.com/",
        "file:///etc/passwd",
    ],
)
def test_addresses_that_lead_astray_are_refused_and_nothing_is_kept(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        create(directory_url=url)
    assert refusal.value.field == "directory_url"
    assert refusal.value.message.endswith(".") or "example" in refusal.value.message
    assert not db.session.scalar(select(AcmeAuthority.id).where(AcmeAuthority.name == "Company"))


@pytest.mark.parametrize(
    "url", [URL, "https://10.0.0.5:9000/acme/acme/directory", "https://ca/dir", "https://[fd00::5]/d"]
)
def test_an_authority_at_home_may_be_named(url: str) -> None:
    assert create(directory_url=url).directory_url == url


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": "  "}),
        ("name", {"name": "ZeroSSL"}),
        ("directory_url", {"directory_url": "https://acme.zerossl.com/v2/DV90"}),
        ("staging_directory_url", {"staging_directory_url": URL}),
        ("staging_directory_url", {"staging_directory_url": "http://x.example.com"}),
        ("ca_pem", {"ca_pem": "no certificate"}),
        ("ca_pem", {"ca_pem": "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----"}),
        ("ca_pem", {"ca_pem": "x" * 100_000}),
        ("email", {"email": "not an address"}),
        ("email", {"email": "a@b\r\nBcc: c@d.example"}),
        ("eab_key", {"eab_kid": "kid-1"}),
        ("eab_kid", {"eab_key": EAB_KEY}),
        ("eab_key", {"eab_kid": "kid-1", "eab_key": "with+plus/and=slash"}),
        ("eab_key", {"eab_kid": "kid-1", "eab_key": "c2hvcnQ"}),
        ("eab_kid", {"eab_kid": "two words", "eab_key": EAB_KEY}),
    ],
)
def test_each_wrong_value_is_told_at_its_field(field: str, values: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refusal:
        create(**values)
    assert refusal.value.field == field
    assert EAB_KEY not in refusal.value.message


def test_an_external_accounts_key_is_sealed_and_in_no_event(agent: Agent) -> None:
    authority = create(eab_kid="kid-1", eab_key=EAB_KEY + "==")
    assert EAB_KEY not in authority.eab_key_sealed
    assert authority.is_ready
    written = [f"{event.before}{event.after}" for event in db.session.scalars(select(Event))]
    assert not any(EAB_KEY in text or authority.eab_key_sealed in text for text in written)
    with transaction():
        command = certificates.request(certificates.CertificateSpec(agent.id, ("a.example.com",), authority.id), None)
        rendered = agent_specs.spec_for(command)
    assert rendered.authorities[0].eab_hmac_key == EAB_KEY
    assert EAB_KEY not in repr(rendered)


def test_a_key_is_kept_when_the_form_leaves_it_empty_and_goes_with_its_id() -> None:
    authority = create(eab_kid="kid-1", eab_key=EAB_KEY)
    sealed = authority.eab_key_sealed
    spec = AuthoritySpec("Company", URL, eab_kid="kid-2", eab_key=None)
    with transaction():
        authorities.update(authority, spec, None)
    assert (authority.eab_kid, authority.eab_key_sealed) == ("kid-2", sealed)
    with transaction():
        authorities.update(authority, replace(spec, eab_kid=""), None)
    assert authority.eab_key_sealed == ""


def test_of_one_that_comes_along_only_the_account_is_changed() -> None:
    zerossl = named("ZeroSSL")
    spec = AuthoritySpec("Evil", "https://evil.example.com/", email="a@example.com", eab_kid="k", eab_key=EAB_KEY)
    with transaction():
        authorities.update(zerossl, spec, None)
    assert (zerossl.name, zerossl.directory_url) == ("ZeroSSL", "https://acme.zerossl.com/v2/DV90")
    assert (zerossl.email, zerossl.is_ready, zerossl.needs_eab) == ("a@example.com", True, True)


def test_one_in_use_cannot_be_deleted_and_the_sentence_says_for_what(agent: Agent) -> None:
    authority = create()
    with transaction():
        certificates.request(certificates.CertificateSpec(agent.id, ("a.example.com",), authority.id), None)
    with pytest.raises(Conflict, match=r"a\.example\.com"), transaction():
        authorities.delete(authority, None)
    for name in ("Let's Encrypt", "ZeroSSL"):
        with pytest.raises(Conflict, match="comes with Waypost"), transaction():
            authorities.delete(named(name), None)


def test_an_unused_one_is_deleted() -> None:
    authority = create()
    with transaction():
        authorities.delete(authority, None)
    assert "Company" not in {one.name for one in authorities.list_all()}


def test_one_without_its_account_is_neither_default_nor_fallback() -> None:
    with pytest.raises(Conflict, match="external account"), transaction():
        authorities.set_default(named("ZeroSSL"), None)
    with pytest.raises(Invalid, match="external account"), transaction():
        authorities.set_fallbacks([named("ZeroSSL").id], None)


def test_fallbacks_follow_in_their_order_and_never_mix_with_untrusted_ones(agent: Agent) -> None:
    company, other = create(), create(name="Other", directory_url="https://other.example.com/")
    staging = named("Let's Encrypt staging")
    with transaction():
        authorities.set_fallbacks([other.id, staging.id, company.id], None)
    assert [one.name for one in authorities.fallbacks()] == ["Other", "Let's Encrypt staging", "Company"]
    command = order(agent)
    asked = [one.label for one in agent_specs.spec_for(command).authorities]
    assert asked == ["Let's Encrypt", "Other", "Company"]
    assert authorities.order_for(staging) == [staging]


def test_agents_are_told_when_the_order_or_an_account_changes(agent: Agent) -> None:
    certificate = issue(agent)
    company = create()
    with transaction():
        authorities.set_fallbacks([company.id], None)
    told = certificate_jobs.find_open(certificate, CommandKind.CONFIGURE_CERTIFICATE)
    assert told is not None
    with transaction():
        authorities.update(company, AuthoritySpec("Company", URL, email="new@example.com"), None)
    assert certificate_jobs.find_open(certificate, CommandKind.CONFIGURE_CERTIFICATE) is told
    assert agent_specs.spec_for(told).authorities[1].email == "new@example.com"


def test_a_certificate_that_no_agent_has_seen_needs_no_telling(agent: Agent) -> None:
    certificate = certificate_of(order(agent))
    with transaction():
        assert certificate_jobs.configure(certificate, None) is None


def test_operators_change_nothing(bob: User) -> None:
    who, company = db.session.merge(bob), create()
    spec = AuthoritySpec("X", "https://x.example.com/")
    for change in (
        lambda: authorities.create(spec, who),
        lambda: authorities.update(company, spec, who),
        lambda: authorities.delete(company, who),
        lambda: authorities.set_default(company, who),
        lambda: authorities.set_fallbacks([company.id], who),
    ):
        with pytest.raises(Forbidden), transaction():
            change()


def test_the_environment_is_read_and_checked(tmp_path: Any) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("PEM\n")
    env = {"PANEL_STATE_DIR": str(tmp_path), "PANEL_ACME_DIRECTORY": "https://a/d", "PANEL_ACME_CA_FILE": str(pem)}
    config = Config.from_env({**env, "LETSENCRYPT_EMAIL": "a@example.com", "LETSENCRYPT_STAGING": "1"})
    assert (config.acme_directory, config.acme_ca_pem) == ("https://a/d", "PEM")
    assert (config.letsencrypt_email, config.letsencrypt_staging) == ("a@example.com", True)
    for name, value in (("PANEL_ACME_DIRECTORY", "http://a/d"), ("PANEL_ACME_CA_FILE", str(tmp_path / "none"))):
        with pytest.raises(Exception, match=name):
            Config.from_env({**env, name: value})


def test_the_default_is_one_and_its_history_is_kept() -> None:
    company = create()
    with transaction():
        authorities.set_default(company, None)
    assert [one.name for one in authorities.list_all() if one.is_default] == ["Company"]
    last = db.session.scalar(select(Event).order_by(Event.id.desc()))
    assert last is not None
    assert (last.verb, last.after) == ("acme_authority:default", {"default": "Company"})
    with pytest.raises(Conflict, match="default"), transaction():
        authorities.delete(company, None)
    assert builtin_authorities.TEST_AUTHORITY not in {one.name for one in authorities.list_all()}
