"""The state of the audit log's page, kept in its URL: who, what, which object, when, search, and where one stands.
May import: panel.services.audit, panel.web.audit.words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from panel.services.audit import Wanted
from panel.web.audit import words

MAX_QUERY = 253


@dataclass(frozen=True)
class LogQuery:
    """What the page shows. `since` and `until` are days (UTC), both included; `before` and `after` are entries,
    and so is `newest`, which an open list began with."""

    person: str = ""
    kind: str = ""
    action: str = ""
    object_id: str = ""
    since: str = ""
    until: str = ""
    query: str = ""
    before: int = 0
    after: int = 0
    newest: int = 0

    @property
    def is_filtered(self) -> bool:
        """Whether some entries may be hidden."""
        return bool(self.parts())

    @property
    def is_newest(self) -> bool:
        """Whether the page begins with the newest entry."""
        return not (self.before or self.after)

    @property
    def wanted(self) -> Wanted:
        """The same for the service."""
        until = _day(self.until)
        return Wanted(
            person=self.person,
            noun=self.kind,
            verb=self.action,
            object_id=self.object_id,
            since=_day(self.since),
            until=until + timedelta(days=1) if until else None,
            query=self.query,
        )

    def parts(self, *without: str) -> dict[str, str]:
        """The parameters that are set, without the place in the list."""
        parts = {
            "q": self.query,
            "person": self.person,
            "kind": self.kind,
            "action": self.action,
            "object": self.object_id,
            "since": self.since,
            "until": self.until,
        }
        return {name: value for name, value in parts.items() if value and name not in without}

    def url(self, path: str = "/audit", without: str = "", **place: Any) -> str:
        """The address of the same list, elsewhere in it, as a file, or without one filter."""
        text = urlencode(self.parts(without) | place)
        return f"{path}?{text}" if text else path


def parse(args: Mapping[str, str]) -> LogQuery:
    """Reads the URL's parameters; nonsense selects nothing out."""
    action = args["action"] if args.get("action") in words.VERBS else ""
    kind = args["kind"] if args.get("kind") in words.NOUNS else ""
    return LogQuery(
        person=args.get("person", "")[:64],
        kind=kind,
        action=action,
        object_id=args.get("object", "")[:64] if kind else "",
        since=_known_day(args.get("since", "")),
        until=_known_day(args.get("until", "")),
        query=args.get("q", "").strip()[:MAX_QUERY],
        before=_number(args.get("before", "")),
        after=_number(args.get("after", "")),
        newest=_number(args.get("newest", "")),
    )


def _known_day(text: str) -> str:
    return text if _day(text) else ""


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
