"""How values read on pages: times, durations, counts.
May import: Flask, Flask-Babel, markupsafe, panel.i18n, panel.models."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import Flask
from flask_babel import format_date, format_datetime, format_decimal
from markupsafe import Markup

from panel.i18n import at_start, lazy_gettext, midst, plural, translated
from panel.i18n import gettext as _
from panel.models import Role
from panel.models.types import utcnow

ROLES = {
    Role.ADMINISTRATOR: lazy_gettext("Administrator"),
    Role.OPERATOR: lazy_gettext("Operator"),
    Role.VIEWER: lazy_gettext("Viewer"),
}


def register(app: Flask) -> None:
    """Gives templates the filters below."""
    filters = (ago, at_start, clock_time, day, duration, exact, midst, plural, role, translated, utc)
    app.jinja_env.filters.update({each.__name__: each for each in filters})


def role(name: str) -> str:
    """A role as people read it: Administrator, Operator, Viewer."""
    return str(ROLES[Role(name)])


def utc(at: datetime) -> str:
    """The exact moment: 23 Nov 2026, 07:12:03 UTC."""
    pattern = _("d MMM y, HH:mm:ss")
    return f"{format_datetime(at, pattern, rebase=False)} UTC"


def day(at: datetime) -> str:
    """As in 23 November 2026."""
    return str(format_date(at, _("d MMMM y"), rebase=False))


def clock_time(at: datetime) -> str:
    """The time of day of an output line, UTC."""
    return f"{at:%H:%M:%S}"


def ago(at: datetime | None, otherwise: str = "") -> Markup:
    """A relative time that app.js keeps fresh, with the exact one in its title."""
    if at is None:
        return Markup("<span>{}</span>").format(otherwise or _("never"))
    return Markup('<time class="nw" datetime="{}" title="{}" data-ago>{}</time>').format(
        at.isoformat(timespec="seconds"), utc(at), relative(at, utcnow())
    )


def exact(at: datetime) -> Markup:
    """A moment that matters to the minute, such as the end of a certificate; how far it is stands in its title."""
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), relative(at, utcnow()), utc(at)
    )


def relative(at: datetime, now: datetime) -> str:
    """As in "12 min ago" and "in 3 h"; a date when it is more than 30 days away."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 5:
        return _("now")
    if abs(seconds) >= 30 * 86_400:
        return str(format_date(at, _("d MMM y"), rebase=False))
    amount = _amount(abs(seconds))
    return (_("{} ago") if seconds > 0 else _("in {}")).format(amount)


def _amount(seconds: float) -> str:
    if seconds < 60:
        return _("{} s").format(int(seconds))
    if seconds < 3600:
        return _("{} min").format(int(seconds // 60))
    if seconds < 86_400:
        return _("{} h").format(int(seconds // 3600))
    days = int(seconds // 86_400)
    return (_("{} day") if days == 1 else _("{} days")).format(days)


def duration(value: timedelta | None) -> str:
    """As in "38 ms", "1.2 s", "41 s" and "2 min 5 s"; "" for None."""
    if value is None:
        return ""
    seconds = max(0.0, value.total_seconds())
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{format_decimal(round(seconds, 1), '0.0')} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
