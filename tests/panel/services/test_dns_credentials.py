"""DNS credentials: what providers ask for, what is kept, what is shown, and what a test tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from panel.config import Config
from panel.errors import Conflict, Forbidden, Invalid
from panel.extensions import db, transaction
from panel.models import Agent, CommandKind, DnsCredential, Event, User
from panel.models.types import utcnow
from panel.services import agent_specs, certificate_jobs, certificates, dns_credentials, dns_providers
from panel.services.dns_credentials import CredentialSpec
from tests.certificates import PROVIDERS
from tests.conftest import store
from tests.panel.services.certifying import certificate_of, end, order, report, set_up, state

pytestmark = pytest.mark.usefixtures("context")

SECRET = "s3cret-t0ken"


@pytest.fixture(autouse=True)
def _providers(context: None, agent: Agent, config: Config) -> None:
    set_up(config)
    with transaction():
        agent.dns_providers = PROVIDERS


def create(title: str = "Work", provider: str = "cloudflare", **values: str) -> DnsCredential:
    with transaction():
        return dns_credentials.create(CredentialSpec(title, provider, values or {"token": SECRET}), None)


def test_providers_are_what_agents_say(agent: Agent) -> None:
    cloudflare, by_hand = dns_providers.list_all()
    assert (by_hand.id, by_hand.fields) == ("manual", ())
    assert [(one.name, one.is_secret, one.is_optional) for one in cloudflare.fields] == [
        ("token", True, False),
        ("name", False, True),
    ]
    assert cloudflare.agent_ids == (agent.id,)


def test_values_are_sealed_and_secrets_are_shown_to_nobody() -> None:
    credential = create(token=SECRET, name="me")
    assert SECRET not in credential.sealed_fields
    assert dns_credentials.public_values(credential) == {"name": "me"}
    assert dns_credentials.open_values(credential) == {"token": SECRET, "name": "me"}
    written = [f"{event.before}{event.after}" for event in db.session.scalars(select(Event))]
    assert not any(SECRET in text for text in written)
    assert SECRET not in repr(CredentialSpec("Work", "cloudflare", {"token": SECRET}))


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("name", CredentialSpec("", "cloudflare", {"token": SECRET})),
        ("provider", CredentialSpec("A", "nobody", {"token": SECRET})),
        ("values.token", CredentialSpec("A", "cloudflare", {"token": "  "})),
        ("values.token", CredentialSpec("A", "cloudflare", {"token": "a\x00b"})),
        ("values.token", CredentialSpec("A", "cloudflare", {"token": "x" * 9000})),
        ("values", CredentialSpec("A", "cloudflare", {"token": SECRET, "id": "7"})),
    ],
)
def test_each_wrong_value_is_told_at_its_field(field: str, spec: CredentialSpec) -> None:
    with pytest.raises(Invalid) as refusal, transaction():
        dns_credentials.create(spec, None)
    assert refusal.value.field == field


def test_two_credentials_have_two_names() -> None:
    create()
    with pytest.raises(Invalid, match="already"):
        create()


def test_an_empty_secret_keeps_the_stored_one_and_an_empty_plain_value_is_removed() -> None:
    credential = create(token=SECRET, name="me")
    with transaction():
        dns_credentials.update(credential, CredentialSpec("Work", "cloudflare", {"token": "", "name": ""}), None)
    assert dns_credentials.open_values(credential) == {"token": SECRET}


def test_a_stored_secret_cannot_be_sent_elsewhere(agent: Agent) -> None:
    fields = [
        {"name": "url", "label": "Address", "help": "", "secret": False, "optional": False},
        {"name": "username", "label": "User", "help": "", "secret": False, "optional": True},
        {"name": "password", "label": "Password", "help": "", "secret": True, "optional": True},
    ]
    with transaction():
        agent.dns_providers = [*PROVIDERS, {"id": "webhook", "label": "Webhook", "help": "", "fields": fields}]
    credential = create(provider="webhook", url="https://dns.example.com", password=SECRET)

    def change(**values: str) -> None:
        with transaction():
            dns_credentials.update(credential, CredentialSpec("Work", "webhook", values), None)

    with pytest.raises(Invalid, match="Enter it again: Address has changed") as refusal:
        change(url="https://thief.example")
    assert refusal.value.field == "values.password"
    assert dns_credentials.open_values(credential)["url"] == "https://dns.example.com"
    change(url="https://dns.example.com", username="me")
    assert dns_credentials.open_values(credential)["password"] == SECRET
    change(url="https://dns2.example.com", password="another")
    assert dns_credentials.open_values(credential)["password"] == "another"


def test_an_agent_that_calls_a_secret_none_has_it_shown_to_nobody(app: Flask, agent: Agent) -> None:
    credential = create(token=SECRET, name="me")
    cloudflare = PROVIDERS[0]
    fields = [{**one, "secret": False} for one in cloudflare["fields"]]
    with transaction():
        agent.connected_at = utcnow() - timedelta(hours=1)
    told = [{**cloudflare, "label": "Cloudflare 2", "fields": fields}]
    store(app, Agent(id="liar", name="liar", joined_at=utcnow(), connected_at=utcnow(), dns_providers=told))
    assert "Cloudflare 2" in {one.label for one in dns_providers.list_all()}
    assert dns_credentials.public_values(credential) == {"name": "me"}
    assert SECRET not in str(dns_credentials.describe(credential))


def test_a_new_secret_must_be_tested_again_and_agents_are_told(agent: Agent) -> None:
    credential = create()
    command = order(agent, "*.example.com", challenge="dns-01", dns_credential_id=credential.id)
    certificate = certificate_of(command)
    report(agent, state(certificate.name, names=["*.example.com"]))
    end(command)
    with transaction():
        passed = dns_credentials.test(credential, "example.com", agent, None)
    end(passed, ok=True, sentence="", zones=[])
    with transaction():
        dns_credentials.update(credential, CredentialSpec("Work", "cloudflare", {"token": "new"}), None)
    assert (credential.tested_at, credential.test_command_id) == (None, None)
    told = certificate_jobs.find_open(certificate, CommandKind.CONFIGURE_CERTIFICATE)
    assert told is not None
    rendered = agent_specs.spec_for(told)
    assert rendered.dns is not None
    assert rendered.dns.fields == {"token": "new"}
    assert "new" not in repr(rendered.dns)


def test_one_that_is_needed_is_not_deleted(agent: Agent) -> None:
    credential = create()
    order(agent, "*.example.com", challenge="dns-01", dns_credential_id=credential.id)
    with pytest.raises(Conflict, match=r"example\.com"), transaction():
        dns_credentials.delete(credential, None)
    other = create("Other")
    with transaction():
        dns_credentials.delete(other, None)
    assert dns_credentials.list_all() == [credential]


def test_a_tests_answer_is_kept(agent: Agent) -> None:
    credential = create()
    with transaction():
        command = dns_credentials.test(credential, "Example.com.", agent, None)
    assert command.payload == {"dns_credential_id": credential.id, "zone": "example.com"}
    assert command.run_timeout == 60
    end(command, ok=False, sentence="The token may not edit example.com.", zones=[])
    assert (credential.test_error, credential.zone) == ("The token may not edit example.com.", "example.com")
    with transaction():
        again = dns_credentials.test(credential, "example.com", agent, None)
    end(again, ok=True, sentence="It may edit example.com.", zones=["example.com"])
    assert (credential.test_error, credential.tested_at) == ("", again.finished_at)


def test_an_answer_that_never_came_is_no_success(agent: Agent) -> None:
    credential = create()
    with transaction():
        command = dns_credentials.test(credential, "example.com", agent, None)
    end(command, error="The agent did not answer within 60 s.")
    assert credential.test_error == "The agent did not answer within 60 s."


def test_an_older_tests_answer_changes_nothing(agent: Agent) -> None:
    credential = create()
    with transaction():
        older = dns_credentials.test(credential, "example.com", agent, None)
        newer = dns_credentials.test(credential, "example.com", agent, None)
    end(older, ok=True, sentence="", zones=[])
    assert credential.tested_at is None
    end(newer, ok=True, sentence="", zones=[])
    assert credential.tested_at is not None


@pytest.mark.parametrize("zone", ["", "a b", "*.example.com", "a.com; TXT", "10.0.0.1"])
def test_a_zone_is_a_name(zone: str, agent: Agent) -> None:
    credential = create()
    with pytest.raises(Invalid) as refusal, transaction():
        dns_credentials.test(credential, zone, agent, None)
    assert refusal.value.field == "zone"


def test_the_one_credential_that_fits_a_wildcard_is_found(agent: Agent) -> None:
    def tested(name: str, zone: str, error: str = "") -> DnsCredential:
        credential = create(name)
        credential.zone, credential.tested_at, credential.test_error = zone, credential.created_at, error
        db.session.commit()
        return credential

    tested("Broken", "example.com", "no")
    tested("Foreign", "ample.com")
    assert dns_credentials.find_for(agent, ("*.example.com",)) is None
    right = tested("Right", "example.com")
    assert dns_credentials.find_for(agent, ("*.example.com", "a.b.example.com")) is right
    assert dns_credentials.find_for(agent, ("*.example.com", "other.org")) is None
    tested("Second", "example.com")
    assert dns_credentials.find_for(agent, ("*.example.com",)) is None


def test_operators_change_nothing(agent: Agent, bob: User) -> None:
    who, credential = db.session.merge(bob), create()
    spec = CredentialSpec("X", "cloudflare", {"token": "x"})
    attempts: list[Callable[[], Any]] = [
        lambda: dns_credentials.create(spec, who),
        lambda: dns_credentials.update(credential, spec, who),
        lambda: dns_credentials.delete(credential, who),
        lambda: dns_credentials.test(credential, "example.com", agent, who),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden), transaction():
            attempt()


def test_a_certificate_is_checked_against_what_its_agent_can_use(agent: Agent) -> None:
    credential = create()
    with transaction():
        agent.dns_providers = PROVIDERS[1:]
    with pytest.raises(Invalid, match="does not know the provider"):
        certificates.request(
            certificates.CertificateSpec(
                agent.id, ("*.example.com",), challenge="dns-01", dns_credential_id=credential.id
            ),
            None,
        )
