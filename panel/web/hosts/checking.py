"""What the form shows of the agent's looks: where each name leads to, and whether the upstream is reached.
May import: panel.models, panel.services, panel.nginx.grammar, panel.web."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, midst
from panel.models import Agent
from panel.nginx import grammar
from panel.nginx.grammar import display_name
from panel.services import form_checks, upstreams
from panel.services.upstreams import Upstream
from panel.web.certificates.findings import TONES, Record, parse_record
from panel.web.hosts.forms import ProxyHostForm
from panel.web.status import Status

OFTEN, SELDOM = 10, 60  # seconds between looks that the page makes by itself
OFTEN_ROUNDS = 12  # two minutes
NOT_YET = lazy_gettext("not looked up yet")


@dataclass(frozen=True)
class NameLine:
    """One name: where it leads to. `found` is the record of a good one, `record` the one to set."""

    name: str
    tone: str
    sentence: str
    next_step: str = ""
    found: str = ""
    record: Record | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may change by itself, so that the page looks again."""
        return self.tone != "ok"


@dataclass(frozen=True)
class NamesView:
    """All names. `note` says why nobody looks; `is_new`: the page is to ask at once; `again`: it asks by itself after
    so many seconds (0: never), which it has done `round` times for `names`."""

    lines: tuple[NameLine, ...]
    note: str
    is_new: bool
    again: int
    round: int
    names: str

    @property
    def hop(self) -> Status | None:
        """What the route says of the first name; None while nothing is known."""
        first = self.lines[0] if self.lines else None
        if first is None or (first.tone == "off" and not first.next_step):
            return None
        worst = next((tone for tone in ("bad", "warn", "off") if any(one.tone == tone for one in self.lines)), "ok")
        word = _("points here (%(found)s)", found=first.found) if first.tone == "ok" else _("does not point here yet")
        return Status(worst, word, first.sentence)


@dataclass(frozen=True)
class UpstreamView:
    """What is typed as upstream, as the agent saw it. `note` says why nobody looks; `is_new`: ask at once."""

    tone: str
    word: str
    sentence: str
    next_step: str
    checked_at: datetime | None
    note: str
    is_new: bool

    @property
    def hop(self) -> Status | None:
        """What the route says of it; None while nothing is known."""
        return Status(self.tone, self.word, self.sentence) if self.checked_at else None


def names(form: ProxyHostForm, agent: Agent | None, posted: Mapping[str, str], *, refusal: str | None) -> NamesView:
    """The names as far as they can be read. `refusal` is None before the agent was asked; "" when it was."""
    typed = form.typed_names()[: form_checks.MOST_NAMES]
    found = form_checks.addresses_of(agent, typed) if agent and typed else {}
    lines = tuple(_line(name, found.get(name), agent) for name in typed)
    asked = "\n".join(typed)
    is_away = agent is not None and not agent.is_connected
    turn = _turn(posted, asked) + (0 if refusal is None else 1)
    waits = agent is not None and not is_away and any(line.is_open for line in lines)
    return NamesView(
        lines=lines,
        note=refusal or (_away(agent) if agent and is_away and typed else ""),
        is_new=waits and refusal is None and len(found) < len(typed),
        again=0 if not waits or turn == 0 else OFTEN if turn <= OFTEN_ROUNDS else SELDOM,
        round=turn,
        names=asked,
    )


def upstream(form: ProxyHostForm, agent: Agent | None, *, refusal: str | None) -> UpstreamView | None:
    """The upstream that is typed; None while it is no upstream yet. `refusal` as in `names`."""
    typed = read_upstream(form)
    if typed is None or agent is None:
        return None
    health = upstreams.all_health(agent).get(typed)
    away = "" if agent.is_connected else _away(agent)
    if health is None:
        sentence = _("The agent has not answered. Check again.") if refusal == "" else ""
        return UpstreamView("off", _("Not checked"), sentence, "", None, refusal or away, refusal is None and not away)
    word = _("Reachable") if health.is_ok else _("Not reachable")
    return UpstreamView(
        tone="ok" if health.is_ok else "warn" if health.cause == "unhealthy" else "bad",
        word=midst(word),
        sentence=health.sentence
        or (
            _("%(name)s reaches it.", name=agent.name)
            if health.is_ok
            else _("%(name)s cannot reach it.", name=agent.name)
        ),
        next_step=health.next_step,
        checked_at=health.checked_at,
        note=refusal or away,
        is_new=False,
    )


def read_upstream(form: ProxyHostForm) -> Upstream | None:
    """What is typed, when nginx could be told so."""
    try:
        return Upstream(
            grammar.parse_forward_scheme(str(form.forward_scheme.data or "")),
            grammar.parse_forward_host(str(form.forward_host.data or "")),
            grammar.parse_port(str(form.forward_port.data or "")),
        )
    except ValueError:
        return None


def _away(agent: Agent) -> str:
    return _(
        "%(name)s is not connected, and only it can look from there. The host can be saved anyway.", name=agent.name
    )


def _turn(posted: Mapping[str, str], asked: str) -> int:
    """How often the page has looked for these names; other names begin anew."""
    text = posted.get("names_round", "")
    is_same = posted.get("names_asked", "").replace("\r\n", "\n") == asked
    return int(text) if is_same and text.isascii() and text.isdigit() and len(text) < 6 else 0


def _line(name: str, finding: Mapping[str, Any] | None, agent: Agent | None) -> NameLine:
    shown = display_name(name)
    if finding is None or agent is None:
        return NameLine(shown, "off", NOT_YET)
    record = parse_record(finding["record"]) if finding["record"] else None
    tone = TONES[finding["level"]]
    if tone == "ok":
        front = finding["sentence"].removeprefix(f"{name} points here").rstrip(".")
        where = f" ({record.value})" if record else ""
        return NameLine(
            shown,
            tone,
            _("points to %(name)s%(where)s%(front)s", name=agent.name, where=where, front=front),
            found=f"{record.type} {record.value}" if record else "",
        )
    return NameLine(shown, tone, finding["sentence"].removeprefix(f"{name} "), finding["next_step"], record=record)
