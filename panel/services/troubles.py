"""One thing that needs a person: what, who is affected and why, and the one place or button that mends it.
May import: panel.nginx.grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, plural
from panel.nginx.grammar import display_name

NAMES_SHOWN = 3  # in sentences; the page that the button leads to has them all


class Tone(StrEnum):
    """How much it hurts: BAD is felt by somebody now, WARN will be."""

    BAD = "bad"
    WARN = "warn"


class Kind(StrEnum):
    """What is told together when there is much of it. The order is that of the list."""

    PANEL = "panel"
    AGENT_REFUSED = "agent-refused"
    AGENT_GONE = "agent-gone"
    NGINX_DOWN = "nginx-down"
    APPLY_FAILED = "apply-failed"
    NGINX_PROBLEM = "nginx-problem"
    HOST_REFUSED = "host-refused"
    UPSTREAM = "upstream"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_REVOKED = "certificate-revoked"
    CERTIFICATE_MISSING = "certificate-missing"
    CERTIFICATE_FAILED = "certificate-failed"
    CERTIFICATE_FAILING = "certificate-failing"
    CERTIFICATE_DUE = "certificate-due"
    CERTIFICATES_STUCK = "certificates-stuck"
    CREDENTIAL = "credential"
    AUTHORITY = "authority"
    CHANNEL = "channel"
    UNAPPLIED = "unapplied"
    DRIFT = "drift"
    AGENT_WAITING = "agent-waiting"


RANKS = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Action:
    """A button: a page of this panel, or with `is_post` something that is done at once."""

    label: str
    address: str
    is_post: bool = False


@dataclass(frozen=True)
class Trouble:
    """One of them. `what` is a sentence with {} in the place of the subject. `action` is for everybody, `mend` takes
    its place for those who may edit. `at` is when it began, after the words `since`. `query` finds it in its list."""

    kind: Kind
    tone: Tone
    subject: str
    what: str
    why: str
    action: Action
    mend: Action | None = None
    agent_id: str = ""
    agent_name: str = ""
    at: datetime | None = None
    since: str = lazy_gettext("since")
    query: str = ""

    def draw(self) -> Trouble:
        """It is told already; see Sketch."""
        return self

    @property
    def before(self) -> str:
        """The words before the subject."""
        return self.what.partition("{}")[0]

    @property
    def after(self) -> str:
        """The words after the subject."""
        return self.what.partition("{}")[2]


@dataclass(frozen=True)
class Sketch:
    """A trouble of which only what groups it is known: of hundreds of one kind few need their words, by `draw`."""

    kind: Kind
    tone: Tone
    agent_id: str
    at: datetime | None
    draw: Callable[[], Trouble]
    query: str = ""


def sentence(*parts: str) -> str:
    """Whole sentences, one after the other; empty ones are left out."""
    return " ".join(
        part if part.endswith((".", "!", "?")) else f"{part}." for part in (str(one).strip() for one in parts) if part
    )


def some(names: Iterable[str]) -> str:
    """The first three of these names as people write them, and how many more there are."""
    return listed(map(display_name, names))


def listed(words: Iterable[str], total: int = 0) -> str:
    """The first three of them, and how many more there are: of `total`, when not all are given."""
    shown = list(words)
    rest = max(total, len(shown)) - NAMES_SHOWN
    return ", ".join(shown[:NAMES_SHOWN]) + (_(" and %(rest)s more", rest=rest) if rest > 0 else "")


def left(end: datetime, now: datetime) -> str:
    """The time until `end` in days, or in hours when it is less than one."""
    rest = max(timedelta(), end - now)
    return plural(rest.days, "day") if rest.days else plural(max(1, rest.seconds // 3600), "hour")
