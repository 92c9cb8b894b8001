"""A host's history: each change as a sentence with its difference, and bringing an earlier version back.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, NotFound
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import ProxyHost
from panel.services import undo
from panel.web import htmx
from panel.web.access import actor
from panel.web.audit import history, offer
from panel.web.filters import utc

SHOWN = 8
SHOWN_BESIDE = 4  # beside the form


def values(host: ProxyHost, most: int = SHOWN) -> dict[str, Any]:
    """What a page about the host shows of its history."""
    return history.values("proxy_host", host.id, most)


def restore_version(host_id: int, event_id: int) -> BaseResponse:
    """Saves the host as it was after that change. A refusal is a sentence, and changes nothing."""
    try:
        with transaction():
            event = undo.get(event_id)
            if (event.noun, event.object_id) != ("proxy_host", str(host_id)):
                raise NotFound(_("This host has no such version. Choose one from its history."))
            done = undo.bring_back_version(event, actor())
            url = offer.undo_url("proxy_host")
            said = _(
                "Version of %(at)s restored. %(progress)s",
                at=utc(event.at),
                progress=offer.progress(done),
            )
    except Conflict as refusal:
        htmx.toast(refusal.message, kind="warn")
        return htmx.go(f"/hosts/{host_id}")
    htmx.toast(said if url else _("The host is as it was then already. Nothing was changed."), undo_url=url)
    return htmx.go(f"/hosts/{host_id}")
