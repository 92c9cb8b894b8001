"""What was found about an upstream, in words for people: what is wrong, and what to do.
May import: agent.upstreams.{connect,sight,upstream}."""

from __future__ import annotations

import ipaddress

from agent.upstreams.connect import Result
from agent.upstreams.sight import Sight
from agent.upstreams.upstream import Cause, Finding, Upstream


def explain(upstream: Upstream, sight: Sight, result: Result, *, in_container: bool = True) -> Finding:
    """The finding. A container whose own health check fails is told of even when it takes connections."""
    cause = result.cause
    if cause is None and sight.health == "unhealthy" and sight.is_running:
        cause = Cause.UNHEALTHY
    if cause is None:
        return Finding(None, f"{_capital(result.detail)}." if result.detail else "", container=sight.container)
    sentence, next_step = _WORDS[cause](upstream, sight, result.detail, in_container)
    network = sight.network if cause is Cause.NO_COMMON_NETWORK else ""
    return Finding(cause, sentence, next_step, sight.container, network)


def _unresolved(upstream: Upstream, sight: Sight, detail: str, in_container: bool) -> tuple[str, str]:
    why = f": {detail}" if detail else ""
    if not in_container and sight.container:
        sentence = (
            f"nginx finds no address for {upstream.host}. It is the name of a container, and nginx runs on the machine,"
            " where Docker's names are not known."
        )
        if sight.published:
            return sentence, f"Use 127.0.0.1 and port {sight.published[0][1]}."
        return sentence, "Publish a port of the container on 127.0.0.1, and use that address."
    where = "in nginx's networks" if in_container else "on this machine"
    hint = " or the container" if in_container else " (a name in /etc/hosts is not enough)"
    return (
        f"nginx finds no address for {upstream.host} {where}{why}.",
        f"Check the name{hint}, or use an address.",
    )


def _no_common_network(upstream: Upstream, sight: Sight, detail: str, in_container: bool) -> tuple[str, str]:
    sentence = f"nginx and the container {sight.container} have no network in common."
    if not sight.network:
        return sentence, f"Put {sight.container} into a network of its own (docker network create), then join nginx."
    return sentence, f"Join nginx to the network {sight.network}. nginx is not restarted for it."


def _stopped(upstream: Upstream, sight: Sight, detail: str, in_container: bool) -> tuple[str, str]:
    return f"The container {sight.container} does not run.", f"Start it: docker start {sight.container}"


def _unhealthy(upstream: Upstream, sight: Sight, detail: str, in_container: bool) -> tuple[str, str]:
    return (
        f"The container {sight.container} takes connections, but its own health check fails.",
        f"Look at its log: docker logs {sight.container}",
    )


def _refused(upstream: Upstream, sight: Sight, detail: str, in_container: bool) -> tuple[str, str]:
    if sight.container:
        others = [str(port) for port in sight.ports if port != upstream.port]
        known = f" It has {'the port' if len(others) == 1 else 'the ports'} {', '.join(others)}." if others else ""
        return (
            f"Nothing listens on port {upstream.port} in the container {sight.container}.{known}",
            "Use the port that the program listens on inside its container, and let it listen on 0.0.0.0.",
        )
    if in_container and _is_loopback(upstream):
        return (
            f"Nothing listens on {upstream}: there nginx's container sees only itself.",
            "Use the name of the container, or the address of the machine in nginx's network.",
        )
    return (
        f"{upstream} refuses connections: nothing listens there.",
        "Start the program that should listen there, or change the host's port.",
    )


def _timeout(upstream: Upstream, sight: Sight, detail: str, in_container: bool) -> tuple[str, str]:
    return (
        f"{upstream} does not answer within 3 seconds.",
        "Look whether a firewall drops the connection, and whether the program is overloaded.",
    )


def _tls(upstream: Upstream, sight: Sight, detail: str, in_container: bool) -> tuple[str, str]:
    why = f": {detail}" if detail else ""
    next_step = "Choose http as the scheme of the host, or let the program speak TLS 1.2 or newer on this port."
    return f"{upstream} takes connections, but TLS does not come about{why}.", next_step


def _unreachable(upstream: Upstream, sight: Sight, detail: str, in_container: bool) -> tuple[str, str]:
    why = f" ({detail})" if detail else ""
    return (
        f"There is no way from nginx to {upstream}{why}.",
        "Check the address, and the routes of the machine that nginx runs on.",
    )


_WORDS = {
    Cause.UNRESOLVED: _unresolved,
    Cause.NO_COMMON_NETWORK: _no_common_network,
    Cause.STOPPED: _stopped,
    Cause.UNHEALTHY: _unhealthy,
    Cause.REFUSED: _refused,
    Cause.TIMEOUT: _timeout,
    Cause.TLS: _tls,
    Cause.UNREACHABLE: _unreachable,
}


def _is_loopback(upstream: Upstream) -> bool:
    return bool(upstream.address) and ipaddress.ip_address(upstream.address).is_loopback


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
