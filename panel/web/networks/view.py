"""What the list of networks shows, as plain values: what is wanted, what is, and what can be done.
May import: panel.models, panel.nginx.grammar, panel.services, panel.web."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent, Command, CommandKind, ProxyHost
from panel.nginx.grammar import display_name
from panel.services.docker_facts import DockerFacts, Network
from panel.web.status import Status

NAMES_SHOWN = 4  # containers and hosts in a row

ATTACHED = Status("ok", lazy_gettext("Attached"), lazy_gettext("nginx is in it, and is put back when it is not."))
FOUND = Status(
    "ok",
    lazy_gettext("Attached"),
    lazy_gettext("nginx was started in it. Nobody asked for that here, so it is not put back when lost."),
)
LOST = Status(
    "warn",
    lazy_gettext("Not attached"),
    lazy_gettext("nginx is to be in it and is not. The agent joins it again as soon as it can."),
)
GONE = Status(
    "bad",
    lazy_gettext("Network is gone"),
    lazy_gettext("nginx is to be in it, but there is no such network now. It is joined when it is back."),
)
FREE = Status("off", lazy_gettext("Not attached"), lazy_gettext("nginx does not reach what is only in this network."))
UNNEEDED = Status(
    "off",
    lazy_gettext("Not needed"),
    lazy_gettext("nginx runs on the machine itself and reaches it without being joined."),
)
ATTACHING = Status("run", lazy_gettext("Attaching"), lazy_gettext("A job joins nginx to it now."))
DETACHING = Status("run", lazy_gettext("Detaching"), lazy_gettext("A job takes nginx out of it now."))


@dataclass(frozen=True)
class Names:
    """The first of many names, and how many more there are."""

    shown: tuple[str, ...]
    more: int


def some(names: Sequence[str]) -> Names:
    """As many names as a row has room for."""
    return Names(tuple(names[:NAMES_SHOWN]), max(0, len(names) - NAMES_SHOWN))


@dataclass(frozen=True)
class NetworkRow:
    """One network of one agent. `attach` and `detach` are the words of the buttons, empty where there is none, with
    the question that is asked before; `refusal` stands in their place."""

    agent_id: str
    agent_name: str
    name: str
    kind: str
    subnets: tuple[str, ...]
    containers: Names
    hosts: tuple[tuple[int, str], ...]
    more_hosts: int
    wanted: str
    status: Status
    job_id: str
    attach: str
    attach_question: str
    detach: str
    detach_question: str
    refusal: str


def row(
    agent: Agent, facts: DockerFacts, network: Network, hosts: Sequence[ProxyHost], job: Command | None
) -> NetworkRow:
    """A network as the list shows it; `hosts` lead to its containers, `job` changes it now."""
    attach, detach = _buttons(facts, network, job)
    return NetworkRow(
        agent_id=agent.id,
        agent_name=agent.name,
        name=network.name,
        kind=", ".join(filter(None, (network.driver, _("internal") if network.is_internal else "", _scope(network)))),
        subnets=network.subnets,
        containers=some(network.containers),
        hosts=tuple((host.id, display_name(host.primary_name)) for host in hosts[:NAMES_SHOWN]),
        more_hosts=max(0, len(hosts) - NAMES_SHOWN),
        wanted=_wanted(facts, network),
        status=_status(facts, network, job),
        job_id=job.id if job else "",
        attach=attach,
        attach_question=_attach_question(network),
        detach=detach,
        detach_question=_detach_question(network, hosts),
        refusal=_refusal(facts, network),
    )


def hosts_in(network: Network, facts: DockerFacts, by_container: Mapping[str, Sequence[ProxyHost]]) -> list[ProxyHost]:
    """The hosts that lead to containers of this network, each once."""
    found = {
        host.id: host
        for container in facts.containers
        if any(endpoint.network == network.name for endpoint in container.endpoints)
        for host in by_container.get(container.id, ())
    }
    return list(found.values())


def _status(facts: DockerFacts, network: Network, job: Command | None) -> Status:
    if job is not None:
        return ATTACHING if job.kind == CommandKind.ATTACH_NETWORK else DETACHING
    if not facts.is_nginx_contained:
        return UNNEEDED
    if network.is_wanted:
        return ATTACHED if network.is_attached else GONE if network.is_missing else LOST
    return FOUND if network.is_attached else FREE


def _buttons(facts: DockerFacts, network: Network, job: Command | None) -> tuple[str, str]:
    """The words on "attach" and on "detach"."""
    if job is not None or not facts.is_nginx_contained:
        return "", ""
    attach = "" if network.is_wanted or network.attach_refusal else _("Keep") if network.is_attached else _("Attach")
    has_place = network.is_attached or network.is_wanted
    detach = "" if network.detach_refusal or not has_place else _("Forget") if network.is_missing else _("Detach")
    return attach, detach


def _refusal(facts: DockerFacts, network: Network) -> str:
    """Why there is no button where one would be."""
    if not facts.is_nginx_contained:
        return ""
    if network.is_attached or network.is_wanted:
        return network.detach_refusal
    return network.attach_refusal


def _attach_question(network: Network) -> str:
    if network.is_attached:
        return _(
            "nginx is in %(name)s already. From now on the agent puts it back whenever it is not.", name=network.name
        )
    return _(
        "Attach nginx to %(name)s? It can then reach the containers in there. nginx is "
        "not restarted and no request is dropped. It is put back whenever it is lost.",
        name=network.name,
    )


def _detach_question(network: Network, hosts: Sequence[ProxyHost]) -> str:
    if network.is_missing:
        return _("Forget %(name)s? nginx is not joined to it when it comes back.", name=network.name)
    names = some([display_name(host.primary_name) for host in hosts])
    told = ", ".join(names.shown) + (_(" and %(more)s more", more=names.more) if names.more else "")
    loss = _(" Visitors of %(told)s may get an error (502) then.", told=told) if told else _(" No host leads into it.")
    return _("Take nginx out of %(name)s? It is not restarted.%(loss)s", name=network.name, loss=loss)


def _wanted(facts: DockerFacts, network: Network) -> str:
    """What people decided, beside what is."""
    if not facts.is_nginx_contained:
        return ""
    return _("wanted") if network.is_wanted else _("not asked for") if network.is_attached else ""


def _scope(network: Network) -> str:
    return network.scope if network.scope not in {"", "local"} else ""
