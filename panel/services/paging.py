"""One page of a long list.
May import: panel.extensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, select

from panel.extensions import db

Item = TypeVar("Item")

MAX_PER_PAGE = 200


@dataclass(frozen=True)
class Page(Generic[Item]):
    """The items of page `page` (from 1), how many there are in all, and how many pages that makes (at least 1)."""

    items: list[Item]
    total: int
    page: int
    pages: int
    per_page: int = MAX_PER_PAGE

    @property
    def first(self) -> int:
        """The number of the first item shown, from 1."""
        return (self.page - 1) * self.per_page + 1

    @property
    def last(self) -> int:
        """The number of the last item shown."""
        return (self.page - 1) * self.per_page + len(self.items)


def cut(items: Sequence[Item], page: int, per_page: int) -> Page[Item]:
    """One page of what is in memory already; a page out of range gives the nearest that exists."""
    pages = max(1, -(-len(items) // per_page))
    page = min(max(page, 1), pages)
    start = (page - 1) * per_page
    return Page(list(items[start : start + per_page]), len(items), page, pages, per_page)


def paginate(statement: Select[Any], page: int, per_page: int) -> Page[Any]:
    """Runs a sorted select of one entity for one page; a page out of range gives the nearest that exists."""
    per_page = min(max(per_page, 1), MAX_PER_PAGE)
    total = db.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    pages = max(1, -(-total // per_page))
    page = min(max(page, 1), pages)
    items = list(db.session.scalars(statement.limit(per_page).offset((page - 1) * per_page)).unique())
    return Page(items, total, page, pages, per_page)
