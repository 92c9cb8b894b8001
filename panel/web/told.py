"""Lists of what agents have told and no table holds: their rows are searched, filtered and sorted here.
May import: panel.services.paging, panel.web.listing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from panel.services.paging import cut
from panel.web import listing
from panel.web.listing import ListQuery


class Told(Protocol):
    """A row, and whose it is."""

    @property
    def agent_id(self) -> str:
        """The agent that told it."""


Row = TypeVar("Row", bound=Told)


@dataclass(frozen=True)
class Sieve(Generic[Row]):
    """How the rows of one list are sifted, by status and by the texts that a search looks at, and how columns sort."""

    statuses: Mapping[str, Callable[[Row], bool]]
    texts: Callable[[Row], Iterable[str]]
    columns: Mapping[str, Callable[[Row], tuple[Any, ...]]]


def values(found: Sequence[Row], query: ListQuery, sieve: Sieve[Row]) -> dict[str, Any]:
    """What the templates of such a list need, for the rows that the URL asks for."""
    page = cut(_choose(found, query, sieve), query.page, query.per_page)
    return {
        "query": query,
        "region": listing.region(query),
        "rows": page.items,
        "page": page,
        "total": len(found),
        "columns": listing.columns(query),
        "filters": listing.filters(query),
        "sizes": listing.sizes(query),
    }


def _choose(found: Iterable[Row], query: ListQuery, sieve: Sieve[Row]) -> list[Row]:
    words = query.query.lower()
    kept = [
        row
        for row in found
        if (not query.agent_id or row.agent_id == query.agent_id)
        and (not query.status or sieve.statuses[query.status](row))
        and (not words or any(words in text.lower() for text in sieve.texts(row)))
    ]
    return sorted(kept, key=sieve.columns[query.sort], reverse=query.descending)
