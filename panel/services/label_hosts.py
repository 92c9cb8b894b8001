"""Hosts that containers offer by their labels: a person confirms each, or the agent is trusted to have them made.
May import: panel.services, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

import logging

from sqlalchemy import select

from panel.errors import Conflict, Forbidden, NotFound, PanelError
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, DomainName, ProxyHost, User
from panel.services import certificates, deployments, docker_facts, events, labels, networks, proxy_hosts
from panel.services.docker_facts import DockerFacts
from panel.services.labels import Wish
from panel.services.proxy_hosts import ProxyHostSpec

log = logging.getLogger(__name__)

MAX_ADOPTED = 50  # hosts made unasked by one report; the next one goes on


def offers(agent: Agent, facts: DockerFacts | None = None) -> list[Wish]:
    """What the labels of the agent's containers ask for and no host has yet, by the container's name."""
    facts = docker_facts.of(agent) if facts is None else facts
    found = [wish for one in facts.containers if (wish := labels.read(agent.id, facts, one)) is not None]
    taken = _names_of_hosts(agent) if found else set()
    return [wish for wish in found if wish.spec is None or not taken.issuperset(wish.names)]


def accept(agent: Agent, container_id: str, actor: User | None) -> ProxyHost:
    """Makes the host that a container offers, joins nginx to its network first, and applies.

    Raises Forbidden, NotFound when there is no such offer, Conflict or Invalid with the reason when it cannot be made.
    """
    proxy_hosts.require_editor(actor)
    networks.require_docker(agent)
    wish = next((one for one in offers(agent) if one.container.id == container_id), None)
    if wish is None:
        raise NotFound(_("This container offers no host any more. The list shows those that do."))
    if wish.spec is None:
        raise Conflict(
            _("The labels of %(name)s cannot be used. %(problem)s", name=wish.container.name, problem=wish.problem)
        )
    return _make(agent, wish, wish.spec, actor)


def adopt(agent: Agent) -> list[ProxyHost]:
    """Makes the hosts that containers offer, because this agent's labels are trusted. What a person has deleted stays
    deleted, and what cannot be made stays an offer that says why."""
    made: list[ProxyHost] = []
    for wish in offers(agent):
        if len(made) >= MAX_ADOPTED:
            break
        if wish.spec is None or not wish.container.is_running or _was_deleted(agent, wish):
            continue
        try:
            with db.session.begin_nested():
                made.append(_make(agent, wish, wish.spec, None))
        except PanelError as refusal:
            log.info("the labels of a container on %s make no host: %s", agent.name, refusal.message)
    return made


def set_trust(agent: Agent, actor: User | None, *, is_on: bool) -> None:
    """Whether labels make hosts without a person's yes: whoever may start containers there may then publish them.

    Raises Forbidden for everybody but administrators.
    """
    if actor is not None and not actor.may_administer:
        raise Forbidden(_("Only administrators decide whether labels are trusted. Ask one of them."))
    if agent.trusts_labels == is_on:
        return
    agent.trusts_labels = is_on
    after = {"trusts_labels": is_on}
    events.record(
        actor, "agent", "trust-labels", agent.id, agent.name, before={"trusts_labels": not is_on}, after=after
    )
    for topic in ("agents", "containers"):
        wake_after_commit(topic)
    if is_on:
        adopt(agent)


def _make(agent: Agent, wish: Wish, spec: ProxyHostSpec, actor: User | None) -> ProxyHost:
    """The host, and what it needs: the network first, so that it is reached when it goes live."""
    host = proxy_hosts.create(spec, actor)
    after = {"container": wish.container.name, "names": list(wish.names)}
    events.record(actor, "agent", "label-host", agent.id, agent.name, after=after)
    if wish.network:
        networks.attach(agent, wish.network, actor)
    deployments.apply(agent, actor)
    if wish.wants_certificate:
        _request_certificate(host, actor)
    return host


def _request_certificate(host: ProxyHost, actor: User | None) -> None:
    """A certificate that cannot be asked for leaves the host on plain HTTP; its page offers to ask again."""
    try:
        with db.session.begin_nested():
            certificates.request_for_host(host, actor)
    except PanelError as refusal:
        log.warning("no certificate is asked for %s: %s", host.primary_name, refusal.message)
        after = {"problem": refusal.message}
        events.record(actor, "proxy_host", "certificate-refused", host.id, host.primary_name, after=after)


def _names_of_hosts(agent: Agent) -> set[str]:
    return set(db.session.scalars(select(DomainName.name).where(DomainName.agent_id == agent.id)))


def _was_deleted(agent: Agent, wish: Wish) -> bool:
    """Whether a person took a host with one of these names away."""
    query = select(ProxyHost.domain_names).where(ProxyHost.agent_id == agent.id, ProxyHost.deleted_at.is_not(None))
    return any(set(names) & set(wish.names) for names in db.session.scalars(query))
