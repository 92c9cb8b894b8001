"""What can be watched on pages: a topic, the function that renders its regions, and the news that it listens to.
May import: the standard library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Regions by CSS selector: {"#job-pill": "<a …>"}. Called in a request context of the person who watches, whose
# URL is /live?topics=…&…, so a renderer may read its own arguments there.
Render = Callable[[], dict[str, str]]


@dataclass(frozen=True)
class Topic:
    """One part of a page. `news` are the topics that services wake: at each of them it is rendered again."""

    render: Render
    news: tuple[str, ...]


_topics: dict[str, Topic] = {}


def register(name: str, render: Render, news: tuple[str, ...] = ()) -> None:
    """Makes `name` watchable. It is rendered again at each of `news` (its own name if none); only changes travel."""
    _topics[name] = Topic(render, news or (name,))


def find(name: str) -> Topic | None:
    """The topic of this name, None when nobody registered it."""
    return _topics.get(name)
