"""What nginx refuses is set aside alone, and tried again when that makes sense."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind, CommandState, ConfigContent, Event, ProxyHost, Revision, User
from panel.models.types import utcnow
from panel.services import commands, deployments
from tests.panel.nginx.servers import nginx_version, write_bundle
from tests.panel.services.deploying import REFUSAL, apply, enqueue, files_of, prove, queued, refuse, send, update

pytestmark = pytest.mark.usefixtures("context")


def test_a_refused_host_is_set_aside_alone_and_the_others_are_sent_again(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    bad, good = save(), save("good.example.com")
    first = send(enqueue(agent))
    refuse(first, bad, line=5)
    assert bad.is_refused
    assert (bad.refused_text, bad.refused_line, bad.refused_command_id) == (REFUSAL, 5, first.id)
    assert bad.refused_field == "forward_host"
    assert not good.is_refused
    second = queued(agent)
    assert (second.retry_of_id, second.created_by_id, second.not_before) == (first.id, None, None)
    assert "hosts/1-app.example.com.conf" not in files_of(send(second))
    prove(second)
    assert (good.is_live, bad.is_live) == (True, False)
    assert deployments.unapplied_hosts() == [bad]
    recorded = db.session.scalar(select(Event).where(Event.verb == "proxy_host:refuse"))
    assert recorded is not None
    assert recorded.command_id == first.id


def test_the_last_good_version_of_a_refused_host_keeps_serving(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    apply(agent)
    live = host.live_sha256
    update(host, domain_names=("renamed.example.com",), forward_port=4000)
    refuse(send(enqueue(agent, at_once=True)), host)
    manifest = files_of(send(queued(agent)))
    assert manifest["hosts/1-app.example.com.conf"] == live
    assert "hosts/1-renamed.example.com.conf" not in manifest
    prove(commands.get(_last(agent).id))
    assert host.is_live
    assert host.is_refused


def _last(agent: Agent) -> Command:
    found = db.session.scalar(select(Command).where(Command.agent_id == agent.id).order_by(Command.seq.desc()).limit(1))
    assert found is not None
    return found


def test_all_refused_files_of_one_round_are_set_aside(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    hosts = [save(f"{name}.example.com") for name in "abc"]
    refuse(send(enqueue(agent)), hosts[0], hosts[2])
    assert [host.is_refused for host in hosts] == [True, False, True]
    assert len(db.session.scalars(select(Command)).all()) == 2


def test_a_live_file_that_nginx_no_longer_reads_does_not_block_the_others_for_ever(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    host = save()
    apply(agent)
    update(host, forward_port=4000)
    refuse(send(enqueue(agent, at_once=True)), host)
    refuse(send(queued(agent)), host, text="unknown directive")
    assert host.refused_text == REFUSAL
    assert not host.is_live
    assert [path for path in files_of(send(queued(agent))) if path.startswith("hosts/")] == []


def test_a_host_saved_again_meanwhile_is_not_called_refused(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = send(enqueue(agent))
    update(host, forward_port=4000)
    refuse(command, host)
    assert not host.is_refused
    assert "hosts/1-app.example.com.conf" in files_of(send(queued(agent)))


def test_saving_a_refused_host_again_has_it_tried_again(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    refuse(send(enqueue(agent)), host)
    prove(send(queued(agent)))
    update(host, forward_port=4000)
    assert "hosts/1-app.example.com.conf" in files_of(send(enqueue(agent, at_once=True)))


def test_another_hosts_apply_does_not_try_refused_ones_again(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    bad = save()
    refuse(send(enqueue(agent)), bad)
    prove(send(queued(agent)))
    save("good.example.com")
    assert "hosts/1-app.example.com.conf" not in files_of(send(enqueue(agent, at_once=True)))
    assert bad.is_refused


@pytest.mark.parametrize("again", ["apply", "apply_all", "retry"])
def test_asking_again_tries_refused_hosts_again(
    agent: Agent, save: Callable[..., ProxyHost], bob: User, again: str
) -> None:
    host = save()
    first = send(enqueue(agent))
    refuse(first, host)
    prove(send(queued(agent)))
    with transaction():
        if again == "apply":
            command = deployments.apply(agent, bob, at_once=True)
        elif again == "apply_all":
            command = deployments.apply_all(bob)[0]
        else:
            command = commands.retry(first, bob)
    assert "hosts/1-app.example.com.conf" in files_of(send(command))
    assert not host.is_refused


@pytest.mark.parametrize("path", ["http.conf", "default.conf", "hosts/99-gone.example.conf", "hosts/1-other.conf"])
def test_a_refused_file_of_no_host_fails_plainly(agent: Agent, save: Callable[..., ProxyHost], path: str) -> None:
    host = save()
    command = send(enqueue(agent))
    with transaction():
        command.state = CommandState.FAILED
        deployments.refused(command, [{"path": path, "line": 3, "text": "unknown directive"}])
    assert agent.apply_error == f"nginx refused {path}, line 3: unknown directive"
    assert agent.apply_error_command_id == command.id
    assert not host.is_refused
    assert commands.find_open(agent.id, CommandKind.APPLY_CONFIG) is None


def test_a_saved_value_that_cannot_be_written_sets_its_host_aside(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    bad, _good = save(), save("good.example.com")
    with transaction():
        bad.forward_host = "10.0.0.5; return 200 pwned"
    manifest = files_of(send(enqueue(agent)))
    assert [path for path in manifest if path.startswith("hosts/")] == ["hosts/2-good.example.com.conf"]
    assert bad.is_refused
    assert bad.refused_field == "forward_host"
    assert "pwned" not in "".join(db.session.scalars(select(ConfigContent.text)))


@pytest.mark.skipif(nginx_version() >= (1, 27, 3), reason="this nginx reads `server … resolve`")
def test_a_real_refusal_of_a_real_nginx_ends_in_the_others_being_served(
    agent: Agent, save: Callable[..., ProxyHost], tmp_path: Path
) -> None:
    with transaction():
        agent.nginx_version, agent.http_port = "1.27.3", 8080  # what it said is not what it is
    bad, good = save(forward_host="app_1"), save("good.example.com")
    rounds = 0
    command = send(enqueue(agent))
    while errors := _test_with_nginx(tmp_path / str(rounds), agent):
        with transaction():
            command.state, command.finished_at = CommandState.FAILED, utcnow()
            deployments.refused(command, errors)
        command = send(queued(agent))
        rounds += 1
    prove(command)
    assert rounds == 1
    assert 'invalid parameter "resolve"' in bad.refused_text
    assert bad.refused_field == "forward_host"
    sent = deployments.content(next(iter(_manifests(bad))))
    assert sent is not None
    assert sent.splitlines()[bad.refused_line - 1].strip() == "server app_1:3000 resolve;"
    assert (bad.is_live, good.is_live) == (False, True)


def _test_with_nginx(folder: Path, agent: Agent) -> list[dict[str, Any]]:
    """What the agent finds out: which file nginx refuses, at which line, with which words."""
    folder.mkdir()
    conf = write_bundle(folder, deployments.bundle(agent))
    said = subprocess.run(["nginx", "-t", "-q", "-c", str(conf)], capture_output=True, text=True).stderr.strip()
    found = re.search(
        rf"\[emerg\] (?P<text>.*) in {re.escape(str(folder))}/(?P<path>\S+):(?P<line>\d+)$", said, re.MULTILINE
    )
    assert bool(found) == bool(said), said
    return [] if found is None else [{**found.groupdict(), "line": int(found["line"])}]


def _manifests(host: ProxyHost) -> list[str]:
    """The contents that were ever sent for the host."""
    return [
        sha256
        for manifest in db.session.scalars(select(Revision.manifest))
        for path, sha256 in manifest.items()
        if path.startswith(f"hosts/{host.id}-")
    ]
