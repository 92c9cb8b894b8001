"""The state of a list, kept in its URL: search, filters, sorting, page, rows per page.
May import: panel.models."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from panel.i18n import gettext as _
from panel.models import Agent

PER_PAGES = (25, 50, 100)
PER_PAGE = PER_PAGES[0]
MAX_QUERY = 253


@dataclass(frozen=True)
class Facet:
    """Something to filter by: its name on the chip, and its choices as the URL's word and the page's."""

    label: str
    choices: Mapping[str, str]


@dataclass(frozen=True)
class Shape:
    """What one list offers: its address, its filters by their parameter, and the columns that sort, each with its
    heading and whether a first click sorts downwards. What depends on data (agents, tags) joins when it is read."""

    path: str
    facets: Mapping[str, Facet]
    columns: Mapping[str, tuple[str, bool]]
    default_sort: str


@dataclass(frozen=True)
class ListQuery:
    """What the list shows. Made from anything a URL may hold; nonsense falls back to the default."""

    shape: Shape
    facets: Mapping[str, Facet] = field(default_factory=dict)
    query: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    descending: bool = True
    page: int = 1
    per_page: int = PER_PAGE

    @property
    def is_filtered(self) -> bool:
        """Whether some rows may be hidden."""
        return bool(self.query or any(self.chosen.values()))

    @property
    def agent_id(self) -> str:
        """The agent whose rows are shown, or ""."""
        return self.chosen.get("agent", "")

    @property
    def status(self) -> str:
        """The status that the rows shown have, or ""."""
        return self.chosen.get("status", "")

    @property
    def kept(self) -> dict[str, str]:
        """What the search form carries along beside its own words."""
        return {name: value for name, value in self.parts().items() if name not in {"q", "page"}}

    @property
    def selecting(self) -> dict[str, str]:
        """What decides which rows there are on all pages together: the search and the filters."""
        return {name: value for name, value in self.parts().items() if name == "q" or name in self.facets}

    @property
    def here(self) -> str:
        """This list on this page."""
        return self.url(page=self.page)

    def page_url(self, page: int) -> str:
        """The same list on another page."""
        return self.url(page=page)

    def url(self, **changes: Any) -> str:
        """The list's address with these changes; any change but the page's own starts at page 1.

        A change is a field of this class, or a filter by its parameter.
        """
        text = urlencode(self.parts(**{"page": 1, **changes}))
        return f"{self.shape.path}?{text}" if text else self.shape.path

    def parts(self, **changes: Any) -> dict[str, str]:
        """The parameters that differ from the default, after these changes."""
        known = {name: getattr(self, name) for name in ("query", "sort", "descending", "per_page")} | changes
        page = changes.get("page", self.page)
        sort = known["sort"] or self.shape.default_sort
        is_default_order = known["descending"] == self.shape.columns[sort][1]
        parts = {
            "q": known["query"],
            **{name: known.get(name, self.chosen.get(name, "")) for name in self.facets},
            "sort": "" if sort == self.shape.default_sort else sort,
            "order": "" if is_default_order else ("desc" if known["descending"] else "asc"),
            "per": "" if known["per_page"] == PER_PAGE else str(known["per_page"]),
            "page": str(page) if page > 1 else "",
        }
        return {name: value for name, value in parts.items() if value}


def parse(shape: Shape, args: Mapping[str, str], more: Mapping[str, Facet] | None = None) -> ListQuery:
    """Reads the URL's parameters; unknown values are ignored. `more` are filters that depend on data."""
    facets = {**shape.facets, **(more or {})}
    sort = args.get("sort", "")
    sort = sort if sort in shape.columns else shape.default_sort
    order = args.get("order", "")
    return ListQuery(
        shape=shape,
        facets=facets,
        query=args.get("q", "").strip()[:MAX_QUERY],
        chosen={name: args[name] for name, facet in facets.items() if args.get(name) in facet.choices},
        sort=sort,
        descending=order == "desc" if order in {"asc", "desc"} else shape.columns[sort][1],
        page=number(args.get("page", "1")),
        per_page=per_page(args.get("per", "")),
    )


def number(text: str) -> int:
    """The number of a page, from 1."""
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) <= 6 else 1


def per_page(text: str) -> int:
    """One of the numbers of rows that are offered."""
    return next((size for size in PER_PAGES if str(size) == text), PER_PAGE)


def agents_facet(agents: Iterable[Agent]) -> Facet:
    """The filter by agent."""
    return Facet(_("Agent"), {agent.id: agent.name for agent in agents})


@dataclass(frozen=True)
class Column:
    """A heading that sorts. `direction` is the value of aria-sort, or empty."""

    label: str
    url: str
    direction: str


@dataclass(frozen=True)
class Choice:
    """One value of a filter, or one number of rows."""

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


def filters(query: ListQuery) -> list[Filter]:
    """The filter chips. One without a choice is not shown, unless it is in use."""
    found = []
    for name, facet in query.facets.items():
        chosen = query.chosen.get(name, "")
        offered = facet.choices.items()
        choices = tuple(Choice(label, query.url(**{name: value}), value == chosen) for value, label in offered)
        if chosen or len(choices) > (name == "agent"):
            clear_url = query.url(**{name: ""})
            found.append(Filter(name, facet.label, facet.choices.get(chosen, ""), clear_url, choices))
    return found


def sizes(query: ListQuery) -> list[Choice]:
    """The numbers of rows that a page can have."""
    return choices_of_size(lambda size: query.url(per_page=size), query.per_page)


def choices_of_size(url: Callable[[int], str], chosen: int) -> list[Choice]:
    """The same for a list whose addresses `url` makes."""
    return [Choice(str(size), url(size), size == chosen) for size in PER_PAGES]


def region(query: ListQuery) -> str:
    """The id of what changes by itself: another one for another query, so that a stream that was opened for one list
    never draws over another."""
    return f"list-{zlib.crc32(query.url(page=query.page).encode()):08x}"


def parse_ids(text: str) -> list[int]:
    """The ids of the rows that a live page shows, at most one page of them."""
    return numbers(text.split(","), PER_PAGES[-1])


def numbers(texts: Sequence[str], most: int) -> list[int]:
    """Those of the texts that are numbers of rows, each once, at most so many."""
    found = (int(text) for text in texts if text.isascii() and text.isdigit() and len(text) <= 9)
    return list(dict.fromkeys(found))[:most]
