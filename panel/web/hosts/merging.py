"""Two people on one host: what each of them changed since the form was opened, and what becomes of it.
May import: panel.models, panel.nginx.grammar, panel.services.history, panel.web.hosts.forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from panel.i18n import gettext as _
from panel.models import ProxyHost
from panel.nginx import grammar
from panel.services.history import Change
from panel.web.hosts.forms import LABELS, ProxyHostForm, split_names, values_of

MAX_OPENED = 64_000  # characters: what a form says that it was opened on
Values = Mapping[str, Any]


class Side(StrEnum):
    """Whose value is taken."""

    THEIRS = "theirs"
    YOURS = "yours"
    BOTH = "both"
    CHOOSE = "choose"


@dataclass(frozen=True)
class Difference:
    """One field that somebody changed since the form was opened, in words. `was` is None when that is not known.
    `chosen` is what the person picked where both changed it."""

    field: str
    label: str
    was: str | None
    theirs: str
    yours: str
    side: Side
    chosen: str = ""

    @property
    def needs_choice(self) -> bool:
        """Whether nobody but the person can say which value is right, and has not yet."""
        return self.side is Side.CHOOSE and not self.chosen

    @property
    def takes_theirs(self) -> bool:
        """Whether the form is to hold their value."""
        return self.side is Side.THEIRS or self.chosen == Side.THEIRS


@dataclass(frozen=True)
class Meanwhile:
    """Somebody saved the host while its form was open: who, when, and field by field what that means. `was_seen`: the
    person has this table before them."""

    person: str
    at: datetime
    differences: tuple[Difference, ...]
    was_seen: bool

    @property
    def to_choose(self) -> list[str]:
        """The labels of the fields that still wait for a choice."""
        return [one.label for one in self.differences if one.needs_choice]

    @property
    def is_settled(self) -> bool:
        """Whether it may be saved: the table was seen as it is now, and every choice is made."""
        return self.was_seen and not self.to_choose


def snapshot(host: ProxyHost) -> str:
    """What a form is opened on, for its hidden field: later it tells who changed what."""
    return json.dumps(values_of(host), separators=(",", ":"))


def is_same(form: ProxyHostForm, host: ProxyHost) -> bool:
    """Whether what is typed is what is saved, as after a second click."""
    theirs = values_of(host)
    return all(_plain(name, theirs[name]) == _plain(name, form[name].data) for name in theirs)


def compare(form: ProxyHostForm, host: ProxyHost, change: Change | None, posted: Mapping[str, str]) -> Meanwhile:
    """The three versions beside each other. `change` is the newest of the host; `posted` has the choices."""
    was, theirs = _read(str(form.opened.data or "")), values_of(host)
    was_seen = str(form.seen.data or "") == str(host.version)
    found = (_difference(form, name, was, theirs, posted if was_seen else {}) for name in LABELS)
    return Meanwhile(
        person=(change.person if change else "") or _("The panel"),
        at=host.changed_at,
        differences=tuple(one for one in found if one is not None),
        was_seen=was_seen,
    )


def take(form: ProxyHostForm, host: ProxyHost, meanwhile: Meanwhile) -> None:
    """Puts their values into the form, where they are to be taken; a settled one is then saved on this version."""
    theirs = values_of(host)
    for one in meanwhile.differences:
        if one.takes_theirs:
            form[one.field].data = theirs[one.field]
    form.seen.data = str(host.version)
    if meanwhile.is_settled:
        form.version.data, form.opened.data = str(host.version), snapshot(host)


def _difference(
    form: ProxyHostForm, name: str, was: Values | None, theirs: Values, posted: Mapping[str, str]
) -> Difference | None:
    yours = form[name].data
    old = _plain(name, was[name]) if was else None
    new, typed = _plain(name, theirs[name]), _plain(name, yours)
    if new == typed and (was is None or old == new):
        return None
    side = _side(was is not None, old, new, typed)
    chosen = posted.get(f"keep-{name}", "") if side is Side.CHOOSE else ""
    return Difference(
        field=name,
        label=LABELS[name],
        was=None if was is None else _speak(form, name, was[name]),
        theirs=_speak(form, name, theirs[name]),
        yours=_speak(form, name, yours),
        side=side,
        chosen=chosen if chosen in {Side.THEIRS, Side.YOURS} else "",
    )


def _side(is_known: bool, old: object, new: object, typed: object) -> Side:
    if new == typed:
        return Side.BOTH
    if is_known and typed == old:
        return Side.THEIRS
    return Side.YOURS if is_known and new == old else Side.CHOOSE


def _read(text: str) -> Values | None:
    """What the form was opened on; None when the browser sent something else. It only decides what is compared."""
    try:
        found = json.loads(text) if len(text) <= MAX_OPENED else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() >= LABELS.keys() else None


def _plain(name: str, value: object) -> object:
    """A value so that two that mean the same are equal."""
    if isinstance(value, bool):
        return value
    text = str(value or "").replace("\r\n", "\n").strip()
    return tuple(map(_plain_name, split_names(text))) if name == "domain_names" else text


def _plain_name(name: str) -> str:
    try:
        return grammar.parse_domain_name(name)
    except ValueError:
        return name


def _speak(form: ProxyHostForm, name: str, value: object) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return _("on") if value else _("off")
    text = str(value or "")
    if name == "domain_names":
        return ", ".join(split_names(text))
    if name == "agent_id":
        return form.offered[text].name if text in form.offered else text
    if name == "certificate_id":
        return form.offered_certificates.get(text) or (_("certificate %(text)s", text=text) if text else _("none"))
    return text
