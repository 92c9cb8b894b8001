"""Saved, sent, proved: what an apply brings and what is live after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import delete, select

from panel.errors import Conflict, Forbidden
from panel.extensions import db, transaction
from panel.models import Agent, CommandState, ConfigContent, ProxyHost, Revision, User
from panel.models.types import utcnow
from panel.nginx import render
from panel.services import deployments, proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec
from tests.conftest import store
from tests.panel.services.deploying import apply, enqueue, files_of, prove, refuse, send, update
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("context")


def test_what_is_saved_is_rendered_when_it_is_sent(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    command = enqueue(agent)
    assert command.payload == {}
    save("late.example.com")
    payload = send(command).payload
    assert (payload["generation"], payload["files"]) == (2, 4)
    manifest = files_of(command)
    assert sorted(manifest) == [
        "default.conf",
        "hosts/1-app.example.com.conf",
        "hosts/2-late.example.com.conf",
        "http.conf",
    ]
    for sha256 in manifest.values():
        assert deployments.content(sha256)
    stored = db.session.scalar(select(Revision).where(Revision.revision == payload["revision"]))
    assert stored is not None
    assert stored.manifest == manifest


def test_live_is_said_only_after_proof(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = send(enqueue(agent))
    assert agent.applied_generation == 0
    assert not host.is_live
    prove(command)
    assert (agent.applied_generation, agent.applied_revision) == (1, command.payload["revision"])
    assert host.live_path == "hosts/1-app.example.com.conf"
    assert host.live_sha256 == files_of(command)[host.live_path]
    assert not host.has_unapplied_changes
    assert deployments.unapplied_hosts() == []


def test_what_was_saved_while_an_apply_ran_is_not_live(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = send(enqueue(agent))
    update(host, forward_port=4000)
    prove(command)
    assert host.has_unapplied_changes
    assert agent.has_unapplied_changes
    assert deployments.unapplied_hosts(agent) == [host]


def test_a_queued_apply_takes_later_changes_along(agent: Agent, save: Callable[..., ProxyHost], bob: User) -> None:
    save()
    first = enqueue(agent, bob)
    save("b.example.com")
    assert enqueue(agent, bob).id == first.id
    send(first)
    assert enqueue(agent, bob).id != first.id


def test_a_viewer_applies_and_tests_nothing(
    agent: Agent, save: Callable[..., ProxyHost], spec: ProxyHostSpec, charlie: User, bob: User
) -> None:
    save()
    enqueue(agent, bob)
    for verb in (
        lambda: deployments.apply(agent, charlie),
        lambda: deployments.apply_all(charlie),
        lambda: deployments.test_draft(None, replace(spec, domain_names=("x.example.com",)), agent, charlie),
    ):
        with pytest.raises(Forbidden), transaction():
            verb()


def test_disabled_deleted_and_moved_hosts_leave_with_the_next_apply(
    app: Flask, agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    other = store(app, Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", joined_at=utcnow()))
    disabled, deleted, moved, stays = (save(f"{name}.example.com") for name in "abcd")
    apply(agent)
    with transaction():
        proxy_hosts.set_enabled(disabled, False, None)
        proxy_hosts.delete(deleted, None)
    update(moved, agent_id=other.id)
    assert deployments.unapplied_hosts(agent) == [disabled, deleted]
    with transaction():
        sent = deployments.apply_all(None)
    assert [command.agent_id for command in sent] == [agent.id, other.id]
    for command in sent:
        prove(send(command))
    assert [host.is_live for host in (disabled, deleted, moved, stays)] == [False, False, True, True]
    assert deployments.unapplied_hosts() == []
    with transaction():
        assert deployments.apply_all(None) == []


def test_a_host_deleted_before_it_was_ever_live_is_no_change_to_show(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    host = save()
    with transaction():
        proxy_hosts.delete(host, None)
    assert deployments.unapplied_hosts(agent) == []


def test_a_failure_stays_until_something_is_proved(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    command = send(enqueue(agent))
    with transaction():
        command.state = CommandState.FAILED
        deployments.failed(command, "nginx did not take the new configuration.")
    assert agent.apply_error == "nginx did not take the new configuration."
    assert agent.applied_generation == 0
    apply(agent)
    assert (agent.apply_error, agent.apply_error_command_id) == ("", None)


def test_a_proof_of_another_revision_makes_nothing_live(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = send(enqueue(agent))
    with transaction():
        deployments.applied(command, "f" * 64)
    assert not host.is_live
    assert "another revision" in agent.apply_error


def test_an_agent_that_serves_what_was_proved_needs_nothing(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    apply(agent)
    with transaction():
        assert deployments.reconcile(agent, agent.applied_revision) is None


def test_an_agent_that_lost_its_files_gets_exactly_what_was_live(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    live = apply(agent).payload
    update(host, forward_port=4000)
    with transaction():
        command = deployments.reconcile(agent, "")
    assert command is not None
    assert send(command).payload["revision"] == live["revision"]
    prove(command)
    assert agent.applied_revision == live["revision"]
    assert (agent.applied_generation, agent.generation) == (1, 2)
    assert host.has_unapplied_changes


def test_an_agent_that_listens_elsewhere_now_gets_its_files_anew(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    apply(agent)
    with transaction():
        agent.http_port = 8080
        command = deployments.reconcile(agent, agent.applied_revision)
    assert command is not None
    prove(send(command))
    assert "listen 8080;" in (deployments.content(host.live_sha256) or "")
    update(host, forward_port=4000)
    with transaction():
        agent.http_port = 8081
        assert deployments.reconcile(agent, agent.applied_revision) is None


def test_a_new_agent_gets_its_first_apply(agent: Agent) -> None:
    with transaction():
        command = deployments.reconcile(agent, "")
    assert command is not None
    assert sorted(files_of(send(command))) == ["default.conf", "http.conf"]
    with transaction():
        assert deployments.reconcile(agent, "") is None


def test_applying_turns_a_queued_reconciliation_into_all_that_is_saved(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    host = save()
    apply(agent)
    update(host, forward_port=4000)
    with transaction():
        exact = deployments.reconcile(agent, "")
    assert exact is not None
    assert enqueue(agent).id == exact.id
    prove(send(exact))
    assert not host.has_unapplied_changes


def test_a_refused_reconciliation_fails_plainly(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    apply(agent)
    with transaction():
        exact = deployments.reconcile(agent, "")
    assert exact is not None
    refuse(send(exact), host)
    assert not host.is_refused
    assert agent.apply_error.startswith("nginx refused hosts/1-app.example.com.conf, line 6")


def test_a_revoked_agent_gets_nothing(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    with transaction():
        agent.revoked_at = utcnow()
    with pytest.raises(Conflict), transaction():
        deployments.apply(agent, None)
    with transaction():
        assert deployments.apply_all(None) == []
    assert deployments.unapplied_hosts() == []


def test_freezing_after_one_edit_costs_what_was_edited_however_many_hosts_there_are(
    agent: Agent, spec: ProxyHostSpec
) -> None:
    asked: list[int] = []
    for size in (10, 100):
        with transaction():
            for number in range(db.session.query(ProxyHost).count(), size):
                proxy_hosts.create(replace(spec, domain_names=(f"host{number}.example.com",)), None)
        apply(agent)
        update(proxy_hosts.get(5), forward_port=4000 + size)
        command = enqueue(agent, at_once=True)
        rendered, stored = render.render_site.cache_info().misses, db.session.query(ConfigContent).count()
        with counted() as statements:
            send(command)
        assert render.render_site.cache_info().misses == rendered + 1
        assert db.session.query(ConfigContent).count() == stored + 1
        assert len(files_of(command)) == size + 2
        asked.append(len(statements))
    assert asked[0] == asked[1] < 12


def test_a_command_names_its_revision_and_holds_none_of_its_files(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    assert send(enqueue(agent)).payload == {"generation": 1, "revision": files_revision(agent), "files": 3}


def files_revision(agent: Agent) -> str:
    return deployments.bundle(agent).revision


def test_a_proof_of_a_revision_whose_files_are_no_longer_known_takes_no_host_off(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    host = save()
    apply(agent)
    update(host, forward_port=4000)
    command = send(enqueue(agent))
    with transaction():
        db.session.execute(delete(Revision).where(Revision.revision == command.payload["revision"]))
    prove(command)
    assert host.is_live
    assert "no longer knows the files" in agent.apply_error
