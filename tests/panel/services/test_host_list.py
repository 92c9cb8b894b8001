"""Finding hosts: search, filters, headings, pages."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from panel.extensions import transaction
from panel.models import Agent, ProxyHost, User
from panel.services import proxy_hosts
from panel.services.host_queries import HostFilter
from panel.services.proxy_hosts import ProxyHostSpec
from tests.statements import counted, plan

pytestmark = pytest.mark.usefixtures("context")


def create(spec: ProxyHostSpec, actor: User | None = None) -> ProxyHost:
    with transaction():
        return proxy_hosts.create(spec, actor)


@pytest.fixture
def three(context: None, spec: ProxyHostSpec) -> list[ProxyHost]:
    names = ("b.example.com", "*.bücher.example", "a.example.com")
    return [create(replace(spec, domain_names=(name,), forward_port=port)) for port, name in enumerate(names, 3000)]


def found(**arguments: Any) -> list[str]:
    return [host.primary_name for host in proxy_hosts.list_page(**arguments).items]


@pytest.mark.usefixtures("three")
def test_hosts_are_found_by_name_upstream_and_unicode() -> None:
    assert found(query="B.EXAMPLE") == ["b.example.com"]
    assert found(query="10.0.0.5:3002") == ["a.example.com"]
    assert found(query="bücher") == ["*.xn--bcher-kva.example"]
    assert found(query="100%") == []


@pytest.mark.usefixtures("three")
def test_hosts_are_sorted_by_each_heading_and_nonsense_by_the_last_change() -> None:
    assert found(sort="name", descending=False) == ["*.xn--bcher-kva.example", "a.example.com", "b.example.com"]
    assert found(sort="upstream", descending=True)[0] == "a.example.com"
    for sort in ("status", "agent", "changed"):
        assert len(found(sort=sort)) == 3
    assert found(sort="changed; DROP TABLE", descending=False)[0] == "a.example.com"


@pytest.mark.usefixtures("three")
def test_a_page_out_of_range_is_the_nearest_one() -> None:
    assert len(proxy_hosts.list_page(page=99, per_page=2).items) == 1
    assert len(proxy_hosts.list_page(page=-4, per_page=2).items) == 2


def test_hosts_are_filtered_by_what_they_are(three: list[ProxyHost], agent: Agent) -> None:
    live, refused, disabled = three
    with transaction():
        proxy_hosts.set_enabled(disabled, False, None)
    with transaction():
        agent.applied_generation = agent.generation
        live.live_sha256 = "0" * 64
        refused.refused_generation = refused.changed_generation
    assert found(status="serving") == [live.primary_name]
    assert found(status="refused") == found(status="unapplied") == [refused.primary_name]
    assert found(status="disabled") == [disabled.primary_name]
    assert len(found(status="nonsense")) == 3
    assert found(agent_id="nobody") == []


@pytest.mark.skipif("WAYPOST_TEST_DATABASE" in os.environ, reason="reads the plans of SQLite")
def test_the_list_reads_the_rows_of_its_page_and_no_more(three: list[ProxyHost]) -> None:
    with counted() as asked:
        proxy_hosts.list_page(wanted=HostFilter(tag="x"))
        assert proxy_hosts.list_page().total == len(three)
    plans = [plan(one) for one in asked if "LIMIT" in one.text]
    assert "SCAN host_tag" not in plans[0]
    assert "ORDER BY" not in plans[1]
    assert "ix_proxy_host_deleted_at_changed_at" in plans[1]
