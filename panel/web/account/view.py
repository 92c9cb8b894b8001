"""One's own logins as the account page shows them.
May import: panel.models, panel.services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from panel.i18n import gettext as _
from panel.models import User
from panel.models.types import utcnow
from panel.services import browser_sessions

# The order matters: Edge says that it is Chrome, Chrome that it is Safari, Android that it is Linux.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chromium", "Chromium"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class SessionView:
    """One login: on what, from where, when."""

    id: int
    device: str
    address: str
    last_seen_at: datetime
    created_at: datetime
    is_this: bool


def sessions(user: User, this_id: int) -> list[SessionView]:
    """The person's logins, this one first."""
    rows = browser_sessions.list_for(user, utcnow())
    views = [
        SessionView(row.id, device(row.agent), row.address, row.last_seen_at, row.created_at, row.id == this_id)
        for row in rows
    ]
    return sorted(views, key=lambda view: not view.is_this)


def device(agent: str) -> str:
    """As in "Firefox on Linux", from what a browser calls itself."""
    browser = next((name for sign, name in _BROWSERS if sign in agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s", browser=browser, system=system)
    return browser or system or _("Unknown browser")
