"""Taking a recorded change back, as long as nobody changed the object since, and bringing old versions of hosts back.
May import: panel.services.{events,proxy_hosts,undo_ways}, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from sqlalchemy import func, or_, select

from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import Event, User
from panel.services import events, proxy_hosts
from panel.services.undo_ways import WAYS, Undone, changed_since, save_host

HOST_VERSIONS = frozenset(
    f"proxy_host:{verb}"
    for verb in ("create", "update", "enable", "disable", "link", "unlink", "restore", "undo", "roll-back")
)


class Standing(StrEnum):
    """Whether a change can be taken back: never, now, or not any more because the object was changed since."""

    NEVER = "never"
    NOW = "now"
    CHANGED_SINCE = "changed since"


def get(event_id: int) -> Event:
    """The recorded change with this number. Raises NotFound."""
    event = db.session.get(Event, event_id) if 0 < event_id < 2**31 else None
    if event is None:
        raise NotFound(_("There is no such change. The log keeps changes for a year."))
    return event


def standings(found: Sequence[Event]) -> dict[int, Standing]:
    """Whether each of these changes can be taken back now, by its number; two queries, however many there are."""
    reversible = [event for event in found if event.verb in WAYS]
    newest = _newest(reversible)
    return {event.id: _standing(event, newest) for event in found}


def is_allowed(event: Event, actor: User) -> bool:
    """Whether this person may take such a change back."""
    way = WAYS.get(event.verb)
    return way is not None and (actor.may_administer if way.is_for_administrators else actor.may_edit)


def undo(event: Event, actor: User) -> Undone:
    """Takes one change back, which is a change of its own. Raises Forbidden, Conflict with the reason."""
    way = WAYS.get(event.verb)
    if way is None:
        raise Conflict(_("This cannot be undone. Change it by hand."))
    if not is_allowed(event, actor):
        raise Forbidden(_("Your role does not let you undo this. Ask an administrator."))
    if standings([event])[event.id] is not Standing.NOW:
        raise changed_since(event)
    try:
        return way.carry_out(event, actor)
    except (Invalid, NotFound) as refusal:
        raise Conflict(_("This cannot be undone any more. %(message)s", message=refusal.message)) from refusal


def last_recorded(noun: str) -> Event | None:
    """The change that this transaction made last to such an object, if it can be taken back."""
    return next((event for event in reversed(events.recorded(noun)) if event.verb in WAYS), None)


def is_version(event: Event) -> bool:
    """Whether the event holds a whole host, as it was saved then."""
    return event.verb in HOST_VERSIONS and bool(event.after)


def bring_back_version(event: Event, actor: User) -> Undone:
    """Saves a host as it was after this change, through the same checks as the form.

    Raises Forbidden, Conflict with the reason: the host is deleted, or what it used then is gone.
    """
    if not is_version(event):
        raise Conflict(_("This entry holds no version of the host. Choose another one from its history."))
    host = proxy_hosts.get(int(event.object_id))
    try:
        return save_host(host, event, event.after or {}, actor, "roll-back", is_applied=False)
    except Invalid as refusal:
        raise Conflict(_("That version cannot come back. %(message)s", message=refusal.message)) from refusal


def _standing(event: Event, newest: Mapping[tuple[str, str], int]) -> Standing:
    way = WAYS.get(event.verb)
    if way is None:
        return Standing.NEVER
    later = any(number > event.id and way.is_rival(event, *key) for key, number in newest.items())
    return Standing.CHANGED_SINCE if later else Standing.NOW


def _newest(found: Iterable[Event]) -> dict[tuple[str, str], int]:
    """The number of the last change of each kind to each object that these changes are about."""
    nouns, objects, wide = set(), set(), set()
    for event in found:
        nouns.add(event.noun)
        objects.add(event.object_id)
        wide |= {event.verb} if WAYS[event.verb].is_panel_wide else set()
    if not nouns:
        return {}
    concerned = or_(Event.noun.in_(nouns) & Event.object_id.in_(objects), Event.verb.in_(wide))
    query = select(Event.verb, Event.object_id, func.max(Event.id)).where(concerned)
    rows = db.session.execute(query.group_by(Event.verb, Event.object_id))
    return {(verb, object_id): number for verb, object_id, number in rows}
