"""What can be watched on lists: a topic and the function that renders its regions.
May import: the standard library."""

from __future__ import annotations

from collections.abc import Callable

# Regions by CSS selector: {"#job-pill": "<a …>"}. Called in a request context of the person who watches, whose
# URL is /live?topics=…&…, so a renderer may read its own arguments there.
Render = Callable[[], dict[str, str]]

_renderers: dict[str, Render] = {}


def register(topic: str, render: Render) -> None:
    """Makes `topic` watchable. It is rendered again whenever somebody wakes it; only changes travel."""
    _renderers[topic] = render


def renderer(topic: str) -> Render | None:
    """The renderer of a topic, None when nobody registered it."""
    return _renderers.get(topic)
