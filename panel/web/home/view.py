"""What the overview shows, as plain values: bars of the fleet, the next expiries.
May import: panel.models, panel.nginx.grammar, panel.services, panel.web."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from panel.i18n import gettext as _
from panel.i18n import plural
from panel.models import AgentStatus, Certificate
from panel.nginx.grammar import display_name
from panel.services.certificate_census import Census
from panel.services.estate import Estate, HostCounts
from panel.web.certificates.view import Validity, validity

# Of recorded changes, the shape before those that no person did on purpose.
TONES = {
    "proxy_host:refuse": "bad",
    "proxy_host:certificate-refused": "bad",
    "certificate:failed": "bad",
    "certificate:vanished": "bad",
    "certificate:revoked": "bad",
    "agent:hold-off": "bad",
    "agent:drift": "warn",
}
LEAST = 1.5  # of 100: what is one of thousands is still seen
GAP = 0.6
LAST = 99.9  # the part that ends beyond it is the last one, and has no gap after it


@dataclass(frozen=True)
class Segment:
    """One part of a bar of 100: where it begins and how wide it is."""

    tone: str
    at: float
    width: float


@dataclass(frozen=True)
class Bar:
    """One line of the fleet: how many there are, in words what is not as it should be, and both as a bar."""

    title: str
    words: str
    address: str
    segments: tuple[Segment, ...]


def fleet(estate: Estate, census: Census) -> list[Bar]:
    """Hosts, certificates, agents, and what they have applied; real numbers only."""
    return [_hosts(estate), _certificates(census), _agents(estate), _revisions(estate)]


def _hosts(estate: Estate) -> Bar:
    counts: Sequence[HostCounts] = list(estate.host_counts.values())
    total, serving = sum(one.total for one in counts), sum(one.serving for one in counts)
    unreachable = min(serving, len(estate.unreachable))
    failing = sum(one.refused for one in counts) + unreachable
    waiting, off = sum(one.waiting for one in counts), sum(one.off for one in counts)
    words = _words((_("failing"), failing), (_("not live"), waiting), (_("off"), off)) or (
        _("all serving") if total else _("none yet")
    )
    parts = (("ok", serving - unreachable), ("warn", waiting), ("bad", failing), ("off", off))
    return Bar(plural(total, "host"), words, "/hosts", _segments(parts))


def _certificates(census: Census) -> Bar:
    words = _words((_("bad"), census.bad), (_("due"), census.due), (_("on the way"), census.coming))
    parts = (("ok", census.good), ("warn", census.due), ("bad", census.bad), ("off", census.coming))
    calm = _("all valid") if census.total else _("none yet")
    return Bar(plural(census.total, "certificate"), words or calm, "/certificates", _segments(parts))


def _agents(estate: Estate) -> Bar:
    statuses = [estate.statuses[agent.id] for agent in estate.agents]
    online = statuses.count(AgentStatus.ONLINE) + statuses.count(AgentStatus.SYNCING)
    stale, waiting = statuses.count(AgentStatus.STALE), statuses.count(AgentStatus.WAITING)
    gone = len(statuses) - online - stale - waiting
    words = _words((_("online"), online), (_("silent"), stale), (_("gone"), gone), (_("not joined"), waiting)) or _(
        "none yet"
    )
    parts = (("ok", online), ("warn", stale), ("bad", gone), ("off", waiting))
    return Bar(plural(len(statuses), "agent"), words, "/agents", _segments(parts))


def _revisions(estate: Estate) -> Bar:
    joined = [agent for agent in estate.agents if agent.has_joined]
    behind = sum(1 for agent in joined if agent.has_unapplied_changes)
    in_sync = sum(1 for agent in joined if agent.applied_revision and not agent.has_unapplied_changes)
    title = (
        _("Revision %(short_revision)s", short_revision=joined[0].short_revision)
        if len(joined) == 1 and joined[0].short_revision
        else _("Revisions")
    )
    if len(joined) == 1:
        words = _("behind") if behind else _("in sync") if in_sync else _("nothing applied yet")
    else:
        words = _("in sync on %(in_sync)s of %(len)s", in_sync=in_sync, len=len(joined)) if joined else _("none yet")
    parts = (("acc", in_sync), ("warn", behind), ("off", len(joined) - in_sync - behind))
    return Bar(title, words, "/changes" if behind else "/agents", _segments(parts))


def _words(*counted: tuple[str, int]) -> str:
    return ", ".join(f"{number:,} {word}" for word, number in counted if number)


def _segments(parts: Sequence[tuple[str, int]]) -> tuple[Segment, ...]:
    """Each part in its share of the bar, and none so thin that it is not seen."""
    present = [(tone, number) for tone, number in parts if number > 0]
    total = sum(number for _, number in present)
    widths = [max(LEAST, 100 * number / total) for _, number in present]
    scale = 100 / sum(widths) if widths else 1.0
    found, at = [], 0.0
    for (tone, _number), width in zip(present, widths, strict=True):
        end = at + width * scale
        found.append(Segment(tone, round(at, 2), round(end - at - (GAP if end < LAST else 0), 2)))
        at = end
    return tuple(found)


@dataclass(frozen=True)
class Expiry:
    """One certificate of the list of those that end first."""

    id: int
    name: str
    more: int
    validity: Validity


def expiries(certificates: Sequence[Certificate], now: datetime) -> list[Expiry]:
    """Certificates with the days that they have left."""
    return [
        Expiry(one.id, display_name(one.names[0]) if one.names else one.name, len(one.names) - 1, validity(one, now))
        for one in certificates
    ]
