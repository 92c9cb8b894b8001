"""Asking for certificates: one order however often, the right row, sensible defaults, clear refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from panel.errors import Conflict, Forbidden, Invalid
from panel.extensions import db, transaction
from panel.models import (
    AcmeAuthority,
    Agent,
    Certificate,
    CertificateSource,
    Command,
    CommandKind,
    CommandState,
    DnsCredential,
    ProxyHost,
    User,
)
from panel.models.types import utcnow
from panel.services import authorities, certificate_jobs, certificates, commands, dns_credentials, proxy_hosts
from panel.services.certificates import CertificateSpec
from panel.services.dns_credentials import CredentialSpec
from tests.certificates import PROVIDERS
from tests.panel.services.certifying import (
    certificate_of,
    end,
    issue,
    order,
    report,
    spec,
    state,
)

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture(autouse=True)
def _ready(builtin_authorities: None, agent: Agent) -> None:
    with transaction():
        agent.dns_providers = PROVIDERS


def credential(provider: str = "cloudflare") -> DnsCredential:
    values = {"token": "t"} if provider == "cloudflare" else {}
    with transaction():
        return dns_credentials.create(CredentialSpec(provider, provider, values), None)


def click(host: ProxyHost, **options: Any) -> Command:
    with transaction():
        return certificates.request_for_host(host, None, **options)


def count(kind: CommandKind = CommandKind.ISSUE_CERTIFICATE) -> int:
    return db.session.scalar(select(func.count(Command.id)).where(Command.kind == kind)) or 0


def test_a_request_makes_a_row_and_one_command_without_a_secret(agent: Agent) -> None:
    command = order(agent, "App.Example.com", "www.example.com")
    certificate = certificate_of(command)
    assert (certificate.name, certificate.domain_names) == ("app.example.com", ["app.example.com", "www.example.com"])
    assert (certificate.source, certificate.key_type, certificate.challenge) == ("acme", "ec-256", "http-01")
    assert certificate.authority is authorities.default()
    assert command.kind == CommandKind.ISSUE_CERTIFICATE
    assert command.resource == "acme:app.example.com"
    assert command.payload == {
        "certificate_id": certificate.id,
        "name": "app.example.com",
        "dry_run": False,
        "accept_warnings": False,
    }


@pytest.mark.parametrize(("provider", "seconds"), [(None, 600.0), ("cloudflare", 1800.0), ("manual", 7200.0)])
def test_an_order_gets_the_time_that_its_challenge_needs(agent: Agent, provider: str | None, seconds: float) -> None:
    values: dict[str, Any] = {}
    if provider:
        values = {"challenge": "dns-01", "dns_credential_id": credential(provider).id}
    assert order(agent, **values).run_timeout == seconds


def test_the_same_wish_gives_the_order_that_is_under_way(agent: Agent) -> None:
    first = order(agent, "a.example.com", "b.example.com")
    assert order(agent, "b.example.com", "a.example.com") is first
    assert count() == 1
    assert db.session.scalar(select(func.count(Certificate.id))) == 1


def test_one_that_never_came_takes_the_new_wishes(agent: Agent) -> None:
    first = order(agent)
    end(first, error="No.", failure={"cause": "no_address", "sentence": "No."}, dry_run=False)
    second = order(agent, key_type="rsa-2048")
    assert second.id != first.id
    assert second.certificate_id == first.certificate_id
    assert certificate_of(second).key_type == "rsa-2048"


def test_a_usable_one_from_the_same_authority_is_not_ordered_again(agent: Agent) -> None:
    issue(agent)
    with pytest.raises(Invalid, match="already") as refusal:
        order(agent)
    assert refusal.value.field == "domain_names"
    other = certificate_of(order(agent, key_type="rsa-2048"))
    assert other.name == "app.example.com-0001"


def test_lineages_are_called_by_certbots_rule(agent: Agent) -> None:
    wildcard: dict[str, Any] = {"challenge": "dns-01", "dns_credential_id": credential().id}
    assert certificate_of(order(agent, "*.example.com", **wildcard)).name == "example.com"
    assert certificate_of(order(agent, "example.com", "x.example.com")).name == "example.com-0001"
    assert certificate_of(order(agent, "example.com")).name == "example.com-0002"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("domain_names", {"domain_names": ()}),
        ("domain_names", {"domain_names": ("a..b",)}),
        ("domain_names", {"domain_names": ("app.example.com:8080",)}),
        ("domain_names", {"domain_names": ("localhost",)}),
        ("domain_names", {"domain_names": ("10.0.0.1",)}),
        ("domain_names", {"domain_names": ("nas.local",)}),
        ("domain_names", {"domain_names": ("nas",)}),
        ("domain_names", {"domain_names": ("router.home.arpa",)}),
        ("domain_names", {"domain_names": ("../../etc",)}),
        ("domain_names", {"domain_names": ("a.example.com", "A.example.com")}),
        ("domain_names", {"domain_names": ("*.*.example.com",)}),
        ("domain_names", {"domain_names": tuple(f"n{i}.example.com" for i in range(101))}),
        ("domain_names", {"domain_names": tuple(f"n{i}.example.com" for i in range(26)), "profile": "shortlived"}),
        ("challenge", {"domain_names": ("*.example.com",)}),
        ("challenge", {"challenge": "tls-alpn-01"}),
        ("dns_credential_id", {"challenge": "dns-01"}),
        ("dns_credential_id", {"challenge": "dns-01", "dns_credential_id": 99}),
        ("key_type", {"key_type": "rsa-1024"}),
        ("profile", {"profile": "not one word"}),
        ("authority_id", {"authority_id": 99}),
        ("agent_id", {"agent_id": "7d5f4a0e-0000-4000-8000-00000000ffff"}),
    ],
)
def test_each_wrong_value_is_told_at_its_field_and_nothing_is_kept(
    agent: Agent, field: str, values: dict[str, Any]
) -> None:
    wish = {"agent_id": agent.id, "domain_names": ("app.example.com",), **values}
    with pytest.raises(Invalid) as refusal, transaction():
        certificates.request(CertificateSpec(**wish), None)
    assert refusal.value.field == field
    assert refusal.value.message.endswith(".")
    assert not db.session.scalar(select(Certificate.id))


def test_a_wildcard_and_a_name_that_it_covers_do_not_go_together(agent: Agent) -> None:
    values: dict[str, Any] = {"challenge": "dns-01", "dns_credential_id": credential().id}
    with pytest.raises(Invalid, match="covered by the wildcard"):
        order(agent, "*.example.com", "www.example.com", **values)


def test_an_authority_at_home_may_know_names_that_the_world_does_not(agent: Agent) -> None:
    own = authorities.AuthoritySpec("Own", "https://ca.lan/acme")
    with transaction():
        authority = authorities.create(own, None)
    assert certificate_of(order(agent, "nas.lan", authority_id=authority.id)).name == "nas.lan"


def test_an_authority_without_its_account_is_not_asked(agent: Agent) -> None:
    zerossl = db.session.scalar(select(AcmeAuthority).where(AcmeAuthority.name == "ZeroSSL"))
    assert zerossl is not None
    with pytest.raises(Invalid, match="external account"):
        order(agent, authority_id=zerossl.id)


# ---- one click ----


def test_one_click_orders_for_the_hosts_names_and_links_at_once(save: Callable[..., ProxyHost]) -> None:
    host = save()
    version = host.version
    command = click(host)
    certificate = certificate_of(command)
    assert (host.certificate, host.force_ssl) == (certificate, True)
    assert certificate.domain_names == ["app.example.com"]
    assert host.version > version
    assert not host.has_tls


def test_fifty_clicks_make_one_order(save: Callable[..., ProxyHost]) -> None:
    host = save()
    assert len({click(host).id for _ in range(50)}) == 1
    assert count() == 1
    assert db.session.scalar(select(func.count(Certificate.id))) == 1


def test_a_click_after_a_failure_orders_anew_for_the_same_row(save: Callable[..., ProxyHost]) -> None:
    host = save()
    first = click(host)
    end(first, error="No.", failure={"cause": "no_address", "sentence": "No."}, dry_run=False)
    certificate = certificate_of(first)
    assert (certificate.failures, certificate.last_failure) == (1, {"cause": "no_address", "sentence": "No."})
    second = click(host)
    assert second.id != first.id
    assert second.certificate_id == first.certificate_id


def test_a_host_that_has_one_is_told_so(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    first = click(host)
    report(agent, state())
    end(first)
    with pytest.raises(Conflict, match="has a certificate already"):
        click(host)
    assert count() == 1


def test_a_usable_certificate_for_exactly_its_names_is_linked(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate = issue(agent)
    host = save()
    command = click(host, force_ssl=False)
    assert command.kind == CommandKind.APPLY_CONFIG
    assert (host.certificate, host.has_tls, host.force_ssl) == (certificate, True, False)
    assert count() == 1


@pytest.mark.parametrize("reported", [{"left": -1.0}, {"revoked_at": utcnow()}])
def test_one_that_is_over_or_revoked_is_ordered_again(
    agent: Agent, save: Callable[..., ProxyHost], reported: dict[str, Any]
) -> None:
    command = order(agent)
    report(agent, state(**reported))
    end(command)
    clicked = click(save())
    assert clicked.kind == CommandKind.ISSUE_CERTIFICATE
    assert clicked.certificate_id == command.certificate_id
    assert order(agent) is clicked


def test_one_for_more_names_is_not_linked_unasked(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    issue(agent, "app.example.com", "b.example.com")
    clicked = click(save())
    assert certificate_of(clicked).name == "app.example.com-0001"


def test_one_that_no_browser_trusts_is_not_linked_in_place_of_a_real_one(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    staging = db.session.scalar(select(AcmeAuthority).where(AcmeAuthority.is_test))
    assert staging is not None
    rehearsed = order(agent, authority_id=staging.id)
    report(agent, state())
    end(rehearsed)
    clicked = click(save())
    assert certificate_of(clicked).authority is authorities.default()


def test_a_wildcard_needs_a_credential_that_fits(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save("*.example.com")
    with pytest.raises(Invalid, match="wildcard") as refusal:
        click(host)
    assert refusal.value.field == "dns_credential_id"
    found = credential()
    found.zone, found.tested_at = "example.com", utcnow()
    db.session.commit()
    certificate = certificate_of(click(host))
    assert (certificate.challenge, certificate.dns_credential_id) == ("dns-01", found.id)


def test_names_under_a_wildcard_of_the_same_host_are_left_out(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    found = credential()
    found.zone, found.tested_at = "example.com", utcnow()
    db.session.commit()
    host = save("*.example.com")
    with transaction():
        wanted = proxy_hosts.spec_of(host)
        names = ("www.example.com", "example.com", "*.example.com")
        proxy_hosts.update(host, type(wanted)(**{**vars(wanted), "domain_names": names}), None, version=host.version)
    assert certificate_of(click(host)).domain_names == ["example.com", "*.example.com"]


def test_a_rehearsal_changes_no_host(save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = click(host, staging=True)
    assert command.payload["dry_run"] is True
    assert host.certificate is None
    end(command, dry_run=True)
    real = click(host)
    assert real.payload["dry_run"] is False
    assert real.certificate_id == command.certificate_id


def test_a_deleted_host_gets_none(save: Callable[..., ProxyHost]) -> None:
    host = save()
    with transaction():
        proxy_hosts.delete(host, None)
    with pytest.raises(Conflict, match="deleted"):
        click(host)


def test_a_request_for_a_host_must_cover_it(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    with pytest.raises(Invalid, match=r"app\.example\.com") as refusal:
        order(agent, "other.example.com", host=host)
    assert refusal.value.field == "domain_names"
    assert host.certificate_id is None


# ---- again ----


def test_a_rehearsal_under_way_is_no_order(save: Callable[..., ProxyHost]) -> None:
    host = save()
    rehearsal = click(host, staging=True)
    assert click(host, staging=True) is rehearsal
    real = click(host)
    assert real.payload["dry_run"] is False
    assert click(host) is real
    assert click(host, staging=True) in {rehearsal, real}  # nobody needs a second try
    with transaction():
        assert certificates.renew(certificate_of(real), None) is real


def test_a_retry_says_yes_to_warnings_or_goes_to_staging(agent: Agent) -> None:
    first = order(agent)
    with pytest.raises(Conflict, match="under way"):
        certificates.retry(first, None)
    end(first, error="Look at the warnings.", needs_confirmation=True, dry_run=False)
    with transaction():
        accepted = certificates.retry(first, None, accept_warnings=True)
    assert (accepted.payload["accept_warnings"], accepted.retry_of_id) == (True, first.id)
    with transaction():
        assert certificates.retry(first, None, staging=True) is accepted
    end(accepted, error="No.", dry_run=False)
    with transaction():
        rehearsal = certificates.retry(accepted, None, staging=True)
    assert rehearsal.payload["dry_run"] is True
    end(rehearsal, dry_run=True)
    with transaction():
        real = certificates.retry(rehearsal, None, staging=False)
    assert real.payload["dry_run"] is False


def test_a_retry_of_one_that_was_deleted_says_so(agent: Agent) -> None:
    command = order(agent)
    end(command, error="No.", dry_run=False)
    with transaction():
        certificates.forget(certificate_of(command))
    with pytest.raises(Conflict, match="deleted meanwhile"):
        certificates.retry(command, None)
    assert commands.get(command.id).certificate_id is not None


def test_a_check_asks_without_leaving_anything_behind(agent: Agent) -> None:
    with transaction():
        command = certificates.check(
            spec(agent, "*.example.com", challenge="dns-01", dns_credential_id=credential().id), None
        )
    assert (command.kind, command.resource, command.run_timeout) == (CommandKind.CHECK_NAMES, "", 15.0)
    assert command.payload["name"] == "example.com"
    assert not db.session.scalar(select(Certificate.id))


def test_renewing_twice_is_one_job_and_what_never_came_is_ordered(agent: Agent) -> None:
    certificate = issue(agent)
    with transaction():
        first = certificates.renew(certificate, None)
        assert certificates.renew(certificate, None) is first
    assert (first.kind, first.payload["name"]) == (CommandKind.RENEW_CERTIFICATE, "app.example.com")
    pending = order(agent, "b.example.com")
    end(pending, error="No.", dry_run=False)
    with transaction():
        again = certificates.renew(certificate_of(pending), None)
    assert again.kind == CommandKind.ISSUE_CERTIFICATE


@pytest.mark.parametrize(("source", "words"), [("upload", "was uploaded"), ("certbot", "Take it over")])
def test_what_others_look_after_is_not_ordered(agent: Agent, source: str, words: str) -> None:
    report(agent, state(source=CertificateSource(source)))
    certificate = db.session.scalar(select(Certificate))
    assert certificate is not None
    with pytest.raises(Conflict, match=words):
        certificates.renew(certificate, None)


def test_viewers_ask_for_nothing(agent: Agent, charlie: User, save: Callable[..., ProxyHost]) -> None:
    host, command, who = save(), order(agent, "b.example.com"), db.session.merge(charlie)
    end(command, error="No.", dry_run=False)
    attempts: list[Callable[[], Any]] = [
        lambda: certificates.request(spec(agent), who),
        lambda: certificates.request_for_host(host, who),
        lambda: certificates.check(spec(agent), who),
        lambda: certificates.renew(certificate_of(command), who),
        lambda: certificates.retry(command, who),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden), transaction():
            attempt()


def test_an_order_ends_with_its_agent(agent: Agent) -> None:
    command = order(agent)
    with transaction():
        agent.revoked_at = utcnow()
    with pytest.raises(Invalid, match="does not exist any more"):
        order(agent, "b.example.com")
    assert certificate_jobs.find_open(certificate_of(command), CommandKind.ISSUE_CERTIFICATE) is command
    assert command.state == CommandState.QUEUED
