"""From a container to a host: which name or address nginx is given, through which network, and who leads where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from panel.models import Agent, ProxyHost
from panel.services import containers, docker_facts
from panel.services.containers import Suggestion
from tests.docking import HOSTILE, container, network, report, tell

pytestmark = pytest.mark.usefixtures("context")

WEB = [(8080, 0)]


def suggest(agent: Agent, said: dict[str, Any]) -> Suggestion:
    facts = docker_facts.of(tell(agent, said))
    return containers.suggest(facts, facts.containers[0])


def test_a_container_beside_nginx_is_led_to_by_its_name(agent: Agent) -> None:
    said = report([network("front", attached=True)], [container("app", "front", ports=WEB)])
    assert suggest(agent, said) == Suggestion("http", "app", 8080)


def test_nginx_is_to_be_joined_when_no_network_is_shared(agent: Agent) -> None:
    said = report([network("front"), network("back", attached=True)], [container("app", "front", ports=WEB)])
    assert suggest(agent, said) == Suggestion("http", "app", 8080, "front")


def test_a_shared_network_is_taken_before_one_that_must_be_joined(agent: Agent) -> None:
    said = report([network("a"), network("b", attached=True)], [container("app", "a", "b", ports=WEB)])
    assert suggest(agent, said).network == ""


def test_dockers_own_bridge_gives_no_names(agent: Agent) -> None:
    said = report([network("bridge", attached=True)], [container("app", "bridge", ports=WEB)])
    found = suggest(agent, said)
    assert (found.host, found.network) == ("172.20.0.9", "")
    assert "changes when the container is made again" in found.remark


def test_a_name_that_nginx_cannot_be_given_is_replaced_by_an_alias_or_an_address(agent: Agent) -> None:
    plain = container(HOSTILE, "front", ports=WEB)
    assert suggest(agent, report([network("front", attached=True)], [plain])).host == "172.20.0.9"
    plain["endpoints"][0]["aliases"] = ["-x", "app"]
    assert suggest(agent, report([network("front", attached=True)], [plain])).host == "app"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"endpoints": [{"network": "host", "address": "", "aliases": []}]}, "the machine's own network"),
        ({"endpoints": [], "state": "exited"}, "not running"),
        ({"endpoints": []}, "no network that nginx can be joined to"),
    ],
)
def test_where_nobody_can_know_the_field_stays_empty_and_says_why(
    agent: Agent, values: dict[str, Any], words: str
) -> None:
    found = suggest(agent, report([network("host", attach_refusal="no")], [container("app", **values)]))
    assert found.host == ""
    assert words in found.remark


@pytest.mark.parametrize(
    ("ports", "expected"),
    [([(8080, 18080)], ("127.0.0.1", 18080)), ([(8080, 0)], ("172.20.0.9", 8080))],
)
def test_an_nginx_on_the_machine_takes_published_ports_and_addresses(
    agent: Agent, ports: list[tuple[int, int]], expected: tuple[str, int]
) -> None:
    said = report([network("front")], [container("app", "front", ports=ports)], nginx_container="")
    found = suggest(agent, said)
    assert (found.host, found.port, found.network) == (*expected, "")


@pytest.mark.parametrize(
    ("ports", "expected"),
    [([22, 3000], (3000, "http")), ([9000, 9100], (9000, "http")), ([443], (443, "https")), ([], (0, "http"))],
)
def test_the_likeliest_port_is_taken(agent: Agent, ports: list[int], expected: tuple[int, str]) -> None:
    one = container("app", "front", ports=[(port, 0) for port in ports])
    found = suggest(agent, report([network("front", attached=True)], [one]))
    assert (found.port, found.scheme) == expected


def test_the_form_is_told_which_network_is_missing(agent: Agent) -> None:
    there = [container("app", "front"), container("near", "back"), container("own", "front", own=True)]
    known = tell(agent, report([network("front"), network("back", attached=True)], there))
    found = containers.network_to_join(known, "APP")
    assert found is not None
    assert found.name == "front"
    for host in ("near", "own", "nobody", "", "10.0.0.5"):
        assert containers.network_to_join(known, host) is None
    tell(known, report([network("front")], there, nginx_container=""))
    assert containers.network_to_join(known, "app") is None


def test_hosts_are_found_by_name_address_and_published_port(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    by_name = save("a.example.com", forward_host="app")
    by_address = save("b.example.com", forward_host="172.20.0.9")
    by_port = save("c.example.com", forward_host="127.0.0.1", forward_port=18080)
    save("d.example.com", forward_host="other")
    one = container("App", "front", ports=[(80, 18080)])
    known = tell(agent, report([network("front")], [one], nginx_container=""))
    found = containers.hosts_by_container(known, docker_facts.of(known))
    assert [host.id for host in found[one["id"]]] == [by_name.id, by_address.id, by_port.id]
    tell(known, report([network("front")], [one]))
    found = containers.hosts_by_container(known, docker_facts.of(known))
    assert [host.id for host in found[one["id"]]] == [by_name.id, by_address.id]
