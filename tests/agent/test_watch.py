"""An Engine that ends in the middle of a word is followed again.
May import: agent, docker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import StreamParseError

from agent.docker import watch
from agent.docker.attachments import Attachments
from agent.docker.engine import Engine, EventStream
from agent.docker.watch import Watch


class CutOff(EventStream):
    """What the library makes of an event of which only a part came."""

    def __init__(self) -> None:
        """Nothing is open."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        raise StreamParseError("Unterminated string")

    def close(self) -> None:
        """Nothing is open."""


class Dying(Engine):
    """Ends each time somebody follows it."""

    def __init__(self) -> None:
        super().__init__("tcp://127.0.0.1:9")
        self.followed = 0
        self.is_again = threading.Event()

    def events(self) -> EventStream:
        self.followed += 1
        if self.followed > 1:
            self.is_again.set()
        return CutOff()


def test_an_engine_that_ends_in_the_middle_of_an_event_is_followed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.01)
    engine = Dying()
    follower = Watch(engine, Attachments(tmp_path / "attachments.json", engine, "nginx"), lambda: None)
    follower.start()
    try:
        assert engine.is_again.wait(10)
    finally:
        follower.stop()
