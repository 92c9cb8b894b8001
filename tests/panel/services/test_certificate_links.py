"""Certificates of hosts: linking one, what it must be for, and what becomes of it with its host."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from panel.errors import Invalid
from panel.extensions import db, transaction
from panel.models import Agent, CommandKind, ProxyHost
from panel.models.types import utcnow
from panel.services import certificates, proxy_hosts
from tests.panel.services import deploying
from tests.panel.services.certifying import (
    certificate_of,
    found,
    issue,
    last_change,
    link,
    order,
    report,
    state,
)

pytestmark = pytest.mark.usefixtures("context", "builtin_authorities")


def test_linking_one_that_is_there_applies(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate, host = issue(agent), save()
    deploying.apply(agent)
    command = link(host, certificate)
    assert command is not None
    assert command.kind == CommandKind.APPLY_CONFIG
    assert host.has_unapplied_changes
    assert certificates.hosts_using(certificate) == [host]
    assert link(host, certificate) is None


def test_linking_one_that_is_to_come_leaves_nothing_to_apply(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate, host = certificate_of(order(agent)), save()
    deploying.apply(agent)
    assert link(host, certificate) is None
    assert not host.has_unapplied_changes


def test_a_link_is_history_and_can_be_undone(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate, host = issue(agent), save()
    link(host, certificate)
    assert last_change("proxy_host", host.id) == ("proxy_host:link", ["certificate_id"])
    with transaction():
        assert certificates.unlink(host, None) is not None
    assert (host.certificate, host.has_tls) == (None, False)


@pytest.mark.parametrize("name", ["other.example.com", "a.app.example.com", "example.com"])
def test_a_host_takes_no_certificate_for_other_names(agent: Agent, save: Callable[..., ProxyHost], name: str) -> None:
    certificate, host = issue(agent), save(name)
    with pytest.raises(Invalid, match=name.replace(".", r"\.")) as refusal, transaction():
        deploying.update(host, certificate_id=certificate.id)
    assert refusal.value.field == "certificate_id"


def test_a_host_takes_none_of_another_agent_and_none_that_is_gone(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    other = Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", joined_at=utcnow())
    db.session.add(other)
    db.session.commit()
    certificate, host = issue(other), save()
    for certificate_id, words in ((certificate.id, "lies on the agent other"), (999, "deleted meanwhile")):
        with pytest.raises(Invalid, match=words) as refusal:
            deploying.update(host, certificate_id=certificate_id)
        assert refusal.value.field == "certificate_id"


def test_a_host_with_a_certificate_cannot_move_or_get_names_that_it_is_not_for(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    certificate, host = issue(agent), save()
    link(host, certificate)
    with pytest.raises(Invalid, match=r"b\.example\.com"):
        deploying.update(host, domain_names=("app.example.com", "b.example.com"))
    assert deploying.update(host, certificate_id=None, domain_names=("b.example.com",)).certificate_id is None


def test_a_wildcard_is_good_for_one_label(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate = found(agent, name="example.com", names=["*.example.com"])
    host, deep, apex = save("a.example.com"), save("a.b.example.com"), save("example.com")
    assert certificates.matching(host) == [certificate]
    assert certificates.matching(deep) == certificates.matching(apex) == []
    assert certificates.covering(agent, ("a.example.com", "*.example.com")) == [certificate]
    assert certificates.hosts_matching(certificate) == [host]


def test_usable_ones_come_first(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    report(
        agent,
        state("over", names=["app.example.com"], left=-1),
        state("short", names=["app.example.com"], left=5),
        state("long", names=["app.example.com"], left=50),
        state("foreign", names=["b.example.com"]),
    )
    assert [one.name for one in certificates.matching(save())] == ["long", "short", "over"]


def test_a_clone_takes_no_certificate_along_but_its_settings(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate, host = issue(agent), save()
    deploying.update(host, certificate_id=certificate.id, force_ssl=True, hsts=True, http2=False)
    draft = proxy_hosts.clone(host)
    assert (draft.certificate_id, draft.force_ssl, draft.hsts, draft.http2) == (None, True, True, False)


def test_deleting_a_host_frees_the_certificate_and_bringing_it_back_uses_it_again(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    certificate, host = issue(agent), save()
    link(host, certificate)
    with transaction():
        proxy_hosts.delete(host, None)
    assert certificates.hosts_using(certificate) == []
    with transaction():
        proxy_hosts.restore(host, None)
    assert host.certificate is certificate
