"""What labels of a container ask for: waypost.host, .port, .scheme, .network, .ssl. They are hostile text.
May import: panel.services.{containers,docker_facts,proxy_hosts}, panel.nginx.grammar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from panel.i18n import gettext as _
from panel.nginx import grammar
from panel.services import containers
from panel.services.docker_facts import Container, DockerFacts
from panel.services.proxy_hosts import ProxyHostSpec

Value = TypeVar("Value")

HOST, PORT, SCHEME, NETWORK, SSL = (f"waypost.{word}" for word in ("host", "port", "scheme", "network", "ssl"))
_YES = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True)
class Wish:
    """A host as the labels of a container describe it. `spec` is None when they cannot be used: `problem` says why.

    `network`: nginx is joined to it first. `wants_certificate`: HTTPS is asked for too.
    """

    container: Container
    names: tuple[str, ...]
    spec: ProxyHostSpec | None
    network: str = ""
    wants_certificate: bool = False
    problem: str = ""


def read(agent_id: str, facts: DockerFacts, container: Container) -> Wish | None:
    """What the container's labels ask for; None when they ask for nothing."""
    written = container.labels.get(HOST, "").strip()
    if not written or container.is_own:
        return None
    try:
        return _wish(agent_id, facts, container, written)
    except ValueError as error:
        return Wish(container, (), None, problem=str(error))


def _wish(agent_id: str, facts: DockerFacts, container: Container, written: str) -> Wish:
    labels = container.labels
    names = _value(labels, HOST, lambda text: grammar.parse_domain_names(text.replace(",", " ").split()))
    port = _value(labels, PORT, grammar.parse_port) if labels.get(PORT) else containers.choose_port(container)
    way = containers.suggest(facts, container, port=port, network=labels.get(NETWORK, ""))
    if labels.get(NETWORK) and facts.is_nginx_contained and not _is_in(container, labels[NETWORK]):
        raise ValueError(_("%(network)s: the container is not in %(labels)s.", network=NETWORK, labels=labels[NETWORK]))
    if not way.host:
        raise ValueError(way.remark)
    if not port:
        raise ValueError(_("It has no port that is known. Add the label %(port)s.", port=PORT))
    spec = ProxyHostSpec(
        agent_id,
        names,
        _value(labels, SCHEME, grammar.parse_forward_scheme) if labels.get(SCHEME) else way.scheme,
        way.host,
        way.port,
        notes=f"From the labels of the container {container.name}.",
    )
    wants_certificate = labels.get(SSL, "").strip().lower() in _YES
    return Wish(container, names, spec, way.network, wants_certificate)


def _value(labels: Mapping[str, str], label: str, parse: Callable[[str], Value]) -> Value:
    try:
        return parse(labels[label].strip())
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error


def _is_in(container: Container, network: str) -> bool:
    return any(one.network == network for one in container.endpoints)
