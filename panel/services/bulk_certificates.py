"""Certificates of many hosts, and many certificates: assign one, request, renew, delete what no host uses.
May import: panel.services.{bulk,certificates,certificate_queries,coverage,proxy_hosts} and below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from panel.errors import Conflict, Invalid
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Certificate, Command, ProxyHost, User
from panel.nginx.grammar import display_name
from panel.services import bulk, certificate_queries, certificates, coverage, proxy_hosts
from panel.services.bulk import Left, Outcome, Selection, Step

Thing = TypeVar("Thing")

MOST = 100  # orders or deletions at a time: each is a job of its own, and authorities count orders


def assign(selection: Selection, certificate: Certificate, actor: User | None) -> Outcome:
    """Serves the hosts with the certificate, those that it is for; the others are left. Raises Forbidden."""

    def plan(host: ProxyHost) -> Step | str:
        if host.certificate_id == certificate.id:
            return _("It has the certificate %(name)s already.", name=certificate.name)
        try:
            coverage.require(certificate.id, host.agent, host.domain_names)
        except Invalid as refusal:
            return refusal.message
        concerns_nginx = host.has_tls or certificate.is_present
        return Step(host, lambda one: setattr(one, "certificate", certificate), "link", concerns_nginx=concerns_nginx)

    outcome = bulk.carry_out(selection, plan, actor)
    wake_after_commit("certificates")
    return outcome


def offered(hosts: Sequence[ProxyHost]) -> list[tuple[Certificate, int]]:
    """The certificates that are for at least one of the hosts, with the number of those, most first."""
    by_agent: dict[str, list[ProxyHost]] = {}
    for host in hosts:
        by_agent.setdefault(host.agent_id, []).append(host)
    found = []
    for one in certificate_queries.on_agents(by_agent):
        names = frozenset(one.names)
        count = sum(not coverage.find_uncovered(names, host.domain_names) for host in by_agent[one.agent_id])
        found += [(one, count)] if count else []
    return sorted(found, key=lambda pair: (-pair[1], pair[0].name))


def request(selection: Selection, actor: User | None) -> Outcome:
    """A certificate for each host, as its own button asks for one; a job for each. Raises Forbidden, Conflict."""
    proxy_hosts.require_editor(actor)
    hosts = bulk.find(selection)
    _refuse_too_many(len(hosts), _("Certificates can be requested for"))
    return _each(
        [(display_name(host.primary_name), host) for host in hosts],
        lambda host: certificates.request_for_host(host, actor, force_ssl=host.force_ssl),
    )


def renew(ids: Sequence[int], actor: User | None) -> Outcome:
    """New ones now, before their time; a job for each. Raises Forbidden, Conflict."""
    proxy_hosts.require_editor(actor)
    _refuse_too_many(len(ids), _("Renewed are"))
    return _each_of(ids, lambda certificate: certificates.renew(certificate, actor))


def delete_unused(ids: Sequence[int], actor: User | None) -> Outcome:
    """Takes the files of those that no host uses from their agents; the others are left. Raises Forbidden, Conflict."""
    proxy_hosts.require_editor(actor)
    _refuse_too_many(len(ids), _("Deleted are"))
    return _each_of(ids, lambda certificate: certificates.delete(certificate, actor))


def _each_of(ids: Sequence[int], act: Callable[[Certificate], Command | None]) -> Outcome:
    found = certificate_queries.by_ids(ids)
    gone = set(ids).difference(one.id for one in found)
    left = [Left(_("Certificate %(name)s", name=one), _("It does not exist any more.")) for one in sorted(gone)]
    return _each([(one.name, one) for one in found], act, left)


def _refuse_too_many(count: int, what: str) -> None:
    if count > MOST:
        raise Conflict(
            _(
                "%(what)s at most %(most)s at a time, and %(count)s are selected. Select fewer, and go on then.",
                what=what,
                most=MOST,
                count=f"{count:,}",
            )
        )


def _each(
    things: Sequence[tuple[str, Thing]], act: Callable[[Thing], Command | None], left: Iterable[Left] = ()
) -> Outcome:
    """Does it to one after the other; a refusal takes back what it had begun, and stops nobody else."""
    changed, left, jobs = [], [*left], []
    for name, thing in things:
        try:
            with db.session.begin_nested():
                command = act(thing)
        except (Invalid, Conflict) as refusal:
            left.append(Left(name, refusal.message))
            continue
        changed.append(name)
        jobs += [command.id] if command is not None else []
    return Outcome(tuple(changed), tuple(left), tuple(dict.fromkeys(jobs)))
