"""nginx stays in the networks that it is wanted in, whatever happens to it, to them, or to the agent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.docker.attachments import Attachment, AttachmentRefused, Attachments
from agent.docker.engine import Engine
from agent.docker.watch import Watch
from tests.docker.conftest import Yard
from tests.docker.engine import NGINX

NEWS_WITHIN = 10.0  # seconds


class Following:
    """A watch that runs, and what it told."""

    def __init__(self, engine: Engine, attachments: Attachments) -> None:
        self._news = threading.Condition()
        self._watch = Watch(engine, attachments, self._tell)
        self._watch.start()

    def wait_until_joined(self, engine: Engine, container: str, network: str) -> None:
        """Returns when the container is in the network; each look follows a piece of news."""
        with self._news:
            assert self._news.wait_for(lambda: _is_in(engine, container, network), NEWS_WITHIN)

    def wait_until_left(self, engine: Engine, container: str, network: str) -> None:
        """Returns when the container is not in the network."""
        with self._news:
            assert self._news.wait_for(lambda: not _is_in(engine, container, network), NEWS_WITHIN)

    def stop(self) -> None:
        """Ends it."""
        self._watch.stop()

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()


def _is_in(engine: Engine, container: str, network: str) -> bool:
    found = engine.find_container(container)
    return found is not None and found.endpoint(network) is not None


@pytest.fixture
def nginx(yard: Yard) -> str:
    """A running nginx in a network of its own; its name."""
    return yard.container("nginx", image=NGINX, options=("--network", yard.network("front")))


@pytest.fixture
def attachments(tmp_path: Path, engine: Engine, nginx: str) -> Attachments:
    """What the agent knows of it."""
    return Attachments(tmp_path / "attachments.json", engine, nginx)


@pytest.fixture
def following(engine: Engine, attachments: Attachments) -> Iterator[Following]:
    """A watch over them."""
    made = Following(engine, attachments)
    yield made
    made.stop()


def test_attaching_joins_now_and_is_remembered(
    attachments: Attachments, engine: Engine, yard: Yard, nginx: str
) -> None:
    back = yard.network("back")
    attachments.attach(back, ("proxy",))
    attachments.attach(back, ("proxy",))
    found = engine.find_container(nginx)
    assert found is not None
    assert found.endpoint(back) is not None
    assert attachments.wanted() == [Attachment(back, ("proxy",))]


def test_detaching_takes_out_and_forgets(attachments: Attachments, engine: Engine, yard: Yard, nginx: str) -> None:
    back = yard.network("back")
    attachments.attach(back)
    attachments.detach(back)
    attachments.detach(back)
    found = engine.find_container(nginx)
    assert found is not None
    assert found.endpoint(back) is None
    assert attachments.wanted() == []


@pytest.mark.parametrize("name", ["host", "none", "no-such-network", "../containers", "--help"])
def test_networks_that_nginx_cannot_be_in_are_refused_and_not_remembered(attachments: Attachments, name: str) -> None:
    with pytest.raises(AttachmentRefused):
        attachments.attach(name)
    assert attachments.wanted() == []


def test_nginx_is_not_taken_out_of_its_only_network(attachments: Attachments, yard: Yard) -> None:
    with pytest.raises(AttachmentRefused, match="only network"):
        attachments.detach(yard.name("front"))


def test_nginx_is_not_taken_out_of_the_network_by_which_the_agent_reaches_it(
    tmp_path: Path, docker_host: str, yard: Yard, nginx: str
) -> None:
    own = yard.container("agent", options=("--network", yard.name("front")))
    attachments = Attachments(tmp_path / "attachments.json", Engine(docker_host, own), nginx)
    attachments.attach(yard.network("back"))
    with pytest.raises(AttachmentRefused, match="The agent reaches nginx"):
        attachments.detach(yard.name("front"))
    attachments.detach(yard.name("back"))


def test_a_container_made_again_is_joined_again(
    attachments: Attachments, following: Following, engine: Engine, yard: Yard, nginx: str
) -> None:
    back = yard.network("back")
    attachments.attach(back, ("proxy",))
    yard.docker("rm", "-f", nginx)
    yard.container("nginx", image=NGINX, options=("--network", yard.name("front")))
    following.wait_until_joined(engine, nginx, back)
    resolved = yard.docker("run", "--rm", "--label", yard.prefix, "--network", back, NGINX, "getent", "hosts", "proxy")
    assert "proxy" in resolved


def test_a_network_made_again_is_joined_again(
    attachments: Attachments, following: Following, engine: Engine, yard: Yard, nginx: str
) -> None:
    back = yard.network("back")
    attachments.attach(back)
    yard.docker("stop", nginx)
    yard.docker("network", "rm", back)
    following.wait_until_left(engine, nginx, back)
    yard.docker("start", nginx)  # Docker refuses this to a container that should be in a network that is gone
    yard.network("back")
    following.wait_until_joined(engine, nginx, back)


def test_what_happened_while_nobody_watched_is_put_right_at_the_start(
    attachments: Attachments, engine: Engine, yard: Yard, nginx: str
) -> None:
    back = yard.network("back")
    attachments.attach(back)
    yard.docker("network", "disconnect", back, nginx)
    following = Following(engine, attachments)
    try:
        following.wait_until_joined(engine, nginx, back)
    finally:
        following.stop()


def test_a_disconnect_by_hand_is_put_back(
    attachments: Attachments, following: Following, engine: Engine, yard: Yard, nginx: str
) -> None:
    back = yard.network("back")
    attachments.attach(back)
    following.wait_until_joined(engine, nginx, back)
    yard.docker("network", "disconnect", back, nginx)
    following.wait_until_joined(engine, nginx, back)


def test_without_a_container_the_sentence_says_what_is_missing(tmp_path: Path, engine: Engine, yard: Yard) -> None:
    with pytest.raises(AttachmentRefused, match="AGENT_NGINX_CONTAINER"):
        Attachments(tmp_path / "a.json", engine, yard.name("absent")).attach(yard.network("back"))
    with pytest.raises(AttachmentRefused, match="machine itself"):
        Attachments(tmp_path / "a.json", engine, "").attach(yard.name("back"))
