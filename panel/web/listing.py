"""The state of a list, kept in its URL: search, filters, sorting, page.
May import: panel.models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from panel.models import Agent

PER_PAGE = 25
MAX_QUERY = 253


@dataclass(frozen=True)
class Shape:
    """What one list offers: its address, what a person can filter by (the service's word and the page's), and the
    columns that sort, each with its heading and whether a first click sorts downwards."""

    path: str
    statuses: Mapping[str, str]
    columns: Mapping[str, tuple[str, bool]]
    default_sort: str


@dataclass(frozen=True)
class ListQuery:
    """What the list shows. Made from anything a URL may hold; nonsense falls back to the default."""

    shape: Shape
    query: str = ""
    agent_id: str = ""
    status: str = ""
    sort: str = ""
    descending: bool = True
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        """Whether some rows may be hidden."""
        return bool(self.query or self.agent_id or self.status)

    @property
    def kept(self) -> dict[str, str]:
        """What the search form carries along beside its own words."""
        return {name: value for name, value in self.parts().items() if name not in {"q", "page"}}

    def page_url(self, page: int) -> str:
        """The same list on another page."""
        return self.url(page=page)

    def url(self, **changes: Any) -> str:
        """The list's address with these changes; any change but the page's own starts at page 1."""
        if "page" not in changes:
            changes["page"] = 1
        text = urlencode(replace(self, **changes).parts())
        return f"{self.shape.path}?{text}" if text else self.shape.path

    def parts(self) -> dict[str, str]:
        """The parameters that differ from the default."""
        sort = self.sort or self.shape.default_sort
        is_default_order = self.descending == self.shape.columns[sort][1]
        parts = {
            "q": self.query,
            "agent": self.agent_id,
            "status": self.status,
            "sort": "" if sort == self.shape.default_sort else sort,
            "order": "" if is_default_order else ("desc" if self.descending else "asc"),
            "page": str(self.page) if self.page > 1 else "",
        }
        return {name: value for name, value in parts.items() if value}


def parse(shape: Shape, args: Mapping[str, str], agents: Sequence[Agent]) -> ListQuery:
    """Reads the URL's parameters; unknown values are ignored."""
    sort = args.get("sort", "")
    sort = sort if sort in shape.columns else shape.default_sort
    order = args.get("order", "")
    return ListQuery(
        shape=shape,
        query=args.get("q", "").strip()[:MAX_QUERY],
        agent_id=next((a.id for a in agents if a.id == args.get("agent")), ""),
        status=args["status"] if args.get("status") in shape.statuses else "",
        sort=sort,
        descending=order == "desc" if order in {"asc", "desc"} else shape.columns[sort][1],
        page=_page(args.get("page", "1")),
    )


def _page(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= 6 else 1


@dataclass(frozen=True)
class Column:
    """A heading that sorts. `direction` is the value of aria-sort, or empty."""

    label: str
    url: str
    direction: str


@dataclass(frozen=True)
class Choice:
    """One value of a filter."""

    label: str
    url: str
    is_chosen: bool


@dataclass(frozen=True)
class Filter:
    """A filter chip: its choices, and what takes it away again."""

    name: str
    label: str
    chosen: str
    clear_url: str
    choices: tuple[Choice, ...]


def columns(query: ListQuery) -> dict[str, Column]:
    """The headings; clicking the sorted one turns it round."""
    return {key: _column(query, key) for key in query.shape.columns}


def _column(query: ListQuery, key: str) -> Column:
    label, first = query.shape.columns[key]
    if query.sort != key:
        return Column(label, query.url(sort=key, descending=first), "")
    url = query.url(sort=key, descending=not query.descending)
    return Column(label, url, "descending" if query.descending else "ascending")


def filters(query: ListQuery, agents: Sequence[Agent]) -> list[Filter]:
    """The filter chips: status, and agent when there is a choice."""
    words = query.shape.statuses
    statuses = tuple(Choice(label, query.url(status=value), value == query.status) for value, label in words.items())
    found = [Filter("status", "Status", words.get(query.status, ""), query.url(status=""), statuses)]
    if len(agents) > 1:
        names = {agent.id: agent.name for agent in agents}
        choices = tuple(Choice(n, query.url(agent_id=i), i == query.agent_id) for i, n in names.items())
        found.append(Filter("agent", "Agent", names.get(query.agent_id, ""), query.url(agent_id=""), choices))
    return found


def parse_ids(text: str) -> list[int]:
    """The ids of the rows that a live page shows, at most one page of them."""
    parts = [part for part in text.split(",") if part.isascii() and part.isdigit() and len(part) <= 9]
    return [int(part) for part in parts[:PER_PAGE]]
