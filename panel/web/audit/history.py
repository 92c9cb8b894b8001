"""The history of one object, for its own page.
May import: panel.services.audit, panel.web."""

from __future__ import annotations

from typing import Any

from panel.services import audit
from panel.web.access import actor
from panel.web.audit import view
from panel.web.audit.listing import LogQuery


def values(noun: str, object_id: int, limit: int) -> dict[str, Any]:
    """Its newest changes, and where all of them are."""
    return {
        "changes": view.changes(audit.of_object(noun, object_id, limit), actor()),
        "history_url": LogQuery(kind=noun, object_id=str(object_id)).url(),
    }
