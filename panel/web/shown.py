"""What a page shows of the regions that change by themselves, as short marks: its stream sends only what differs.
May import: Flask, panel.extensions, panel.web.sse."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from flask import Flask, g

from panel.extensions import wakeups
from panel.web import sse

LENGTH = 5  # characters of a mark: of 2^30 changes one would be taken for none
MOST = 6000  # characters that are read of what a client says it shows
# What app.js counts by itself is no news.
_COUNTED = re.compile(r'(<time [^>]*data-ago>|data-elapsed=")[^<]*')


def register(app: Flask) -> None:
    """Gives templates `{% filter region("#dock") %}…{% endfilter %}` and, below all of them, `shown_here()`."""
    app.before_request(_begin)
    app.add_template_filter(region)
    app.add_template_global(shown_here)


def _begin() -> None:
    """Before anything is read: what is woken from here on may be missing on the page."""
    g.read_at = wakeups.number


def region(html: str, selector: str) -> str:
    """The same HTML; the page remembers that it shows this in the region."""
    g.setdefault("regions", {})[selector] = _digest(html)
    return html


def shown_here() -> str:
    """What this page shows and when it was read, for the address of its stream."""
    return _state(g.get("read_at", 0), g.get("regions", {}))


class Client:
    """What one client shows, as far as its stream knows."""

    def __init__(self, state: str) -> None:
        """`state` is what its page, or the last message that it got, said; "" for one that shows nothing."""
        number, _, marks = state[:MOST].partition(".")
        self._read_at = sse.last_event_id(number) if state else None
        self._marks = {marks[at : at + LENGTH] for at in range(0, len(marks), LENGTH)}
        self._shown: dict[str, bytes] = {}

    @property
    def state(self) -> str:
        """What it shows now; it comes back as Last-Event-ID after a reconnect."""
        return _state(self._read_at or 0, self._shown)

    def has_missed(self, topics: Iterable[str]) -> bool:
        """Whether one of the topics was woken since it was told. One that shows nothing has missed nothing."""
        return self._read_at is not None and wakeups.has_woken(topics, self._read_at)

    def read(self) -> None:
        """Called before the regions are rendered: what is woken later, it is told later."""
        self._read_at = wakeups.number

    def catch_up(self, regions: Mapping[str, str]) -> str:
        """The regions that it shows otherwise, as partials; it shows them from now on. The first call has them all."""
        digests = {selector: _digest(html) for selector, html in regions.items()}
        if self._marks:
            known = {thing for thing, mark in _marks(digests).items() if mark in self._marks}
            self._shown = {selector: digest for selector, digest in digests.items() if _thing(selector) in known}
            self._marks = set()
        changed = [selector for selector, digest in digests.items() if self._shown.get(selector) != digest]
        self._shown |= digests
        return "".join(sse.partial(selector, regions[selector]) for selector in changed)


def _state(read_at: int, digests: Mapping[str, bytes]) -> str:
    return f"{read_at}.{''.join(_marks(digests).values())}"


def _digest(html: str) -> bytes:
    """Of what a person sees: a form's token is another one each time."""
    text = _COUNTED.sub(r"\1", str(html).replace(g.get("csrf_token", ""), ""))
    return blake2b("\n".join(line for line in text.splitlines() if line.strip()).encode(), digest_size=9).digest()


def _marks(digests: Mapping[str, bytes]) -> dict[str, str]:
    """One mark for each thing, which is told as a whole: 25 rows have 25 and not 125."""
    hashes: dict[str, blake2b] = defaultdict(lambda: blake2b(digest_size=6))
    for selector in sorted(digests):
        hashes[_thing(selector)].update(selector.encode() + digests[selector])
    return {thing: urlsafe_b64encode(found.digest()).decode()[:LENGTH] for thing, found in hashes.items()}


def _thing(selector: str) -> str:
    """Whose region it is: `#host-7 [data-cell=name]` is of `#host-7`, `#nav-hosts` of `#nav`."""
    row, _, cell = selector.partition(" ")
    return row if cell else selector.rpartition("-")[0] or selector
