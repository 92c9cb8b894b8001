"""Reading the audit log: filtered, page by page, all of it, and how much is new.
May import: panel.services.name_search, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, or_, select

from panel.extensions import db
from panel.models import Event, User
from panel.services import name_search

PER_PAGE = 50
AT_ONCE = 500  # rows that an export holds in memory


@dataclass(frozen=True)
class Wanted:
    """What is looked for; empty values select nothing out.

    `person` is a user name, or NOBODY for what the panel and its agents did. `since` is included, `until` is not.
    """

    person: str = ""
    noun: str = ""
    verb: str = ""
    object_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    query: str = ""


NOBODY = "-"


@dataclass(frozen=True)
class Entry:
    """One recorded change and the name of who made it; "" for the panel and its agents."""

    event: Event
    person: str


@dataclass(frozen=True)
class Stretch:
    """One page of the log, newest first, how many entries there are in all, and whether more lie on either side."""

    entries: list[Entry]
    total: int
    has_newer: bool
    has_older: bool


def list_stretch(wanted: Wanted, *, older_than: int = 0, newer_than: int = 0, limit: int = PER_PAGE) -> Stretch:
    """The newest entries; those before or after an entry's number, when one is given."""
    statement = _entries(wanted)
    if newer_than:
        rows = _read(statement.where(Event.id > newer_than).order_by(Event.id), limit + 1)
        found, has_more = rows[:limit][::-1], len(rows) > limit
        return Stretch(found, count(wanted), has_newer=has_more, has_older=True)
    older = statement.where(Event.id < older_than) if older_than else statement
    rows = _read(older.order_by(Event.id.desc()), limit + 1)
    return Stretch(rows[:limit], count(wanted), has_newer=bool(older_than), has_older=len(rows) > limit)


def read_all(wanted: Wanted) -> Iterator[list[Entry]]:
    """Every entry, newest first, in pieces; between two of them nothing is kept open."""
    last = 0
    while True:
        statement = _entries(wanted)
        rows = _read((statement.where(Event.id < last) if last else statement).order_by(Event.id.desc()), AT_ONCE)
        if not rows:
            return
        last = rows[-1].event.id
        yield rows
        db.session.remove()


def count(wanted: Wanted, newer_than: int = 0) -> int:
    """How many entries there are, or how many came after the entry with this number."""
    statement = select(func.count()).select_from(Event).where(*_conditions(wanted))
    return db.session.scalar(statement.where(Event.id > newer_than) if newer_than else statement) or 0


def of_object(noun: str, object_id: object, limit: int, *, since: int = 0) -> list[Entry]:
    """The newest changes of one object, newest first; with `since` only that one and those after it."""
    statement = _entries(Wanted(noun=noun, object_id=str(object_id))).where(Event.id >= since)
    return _read(statement.order_by(Event.id.desc()), limit)


def of_number(event_id: int) -> list[Entry]:
    """The entry with this number, if there is one."""
    return _read(_entries(Wanted()).where(Event.id == event_id), 1)


def _entries(wanted: Wanted) -> Select[Event, str | None]:
    statement = select(Event, User.username).outerjoin(User, User.id == Event.actor_id)
    return statement.where(*_conditions(wanted))


def _read(statement: Select[Event, str | None], limit: int) -> list[Entry]:
    return [Entry(event, person or "") for event, person in db.session.execute(statement.limit(limit))]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    equal = ((Event.noun, wanted.noun), (Event.verb, wanted.verb), (Event.object_id, wanted.object_id))
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal if value]
    if wanted.person:
        person = select(User.id).where(User.username == wanted.person).scalar_subquery()
        conditions.append(Event.actor_id.is_(None) if wanted.person == NOBODY else Event.actor_id == person)
    if wanted.since:
        conditions.append(Event.at >= wanted.since)
    if wanted.until:
        conditions.append(Event.at < wanted.until)
    return [*conditions, _matches(wanted.query)] if wanted.query else conditions


def _matches(query: str) -> ColumnElement[bool]:
    """Entries about an object (written in unicode or punycode), by a person or from a place of such a name."""
    people = select(User.id).where(User.username.icontains(query, autoescape=True))
    origin = Event.origin.icontains(query, autoescape=True)
    return or_(Event.actor_id.in_(people), origin, name_search.fits(Event.object_name, query))
