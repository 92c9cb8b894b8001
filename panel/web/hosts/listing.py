"""What the list of hosts can be filtered and sorted by.
May import: panel.web.listing, panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent
from panel.services import tags
from panel.services.host_queries import HostFilter
from panel.web import listing
from panel.web.listing import Facet, ListQuery, Shape

HOSTS = Shape(
    path="/hosts",
    facets={
        "status": Facet(
            lazy_gettext("Status"),
            {
                "serving": lazy_gettext("Serving"),
                "unapplied": lazy_gettext("Not live yet or changed"),
                "refused": lazy_gettext("Refused by nginx"),
                "disabled": lazy_gettext("Disabled"),
            },
        ),
        "tls": Facet(
            "TLS",
            {
                "https": "HTTPS",
                "plain": lazy_gettext("Plain HTTP"),
                "waiting": lazy_gettext("Certificate not there yet"),
                "due": lazy_gettext("Certificate due"),
                "failing": lazy_gettext("Certificate failing"),
            },
        ),
        "upstream": Facet(lazy_gettext("Upstream"), {"failing": lazy_gettext("Failing")}),
    },
    columns={
        "name": (lazy_gettext("Host"), False),
        "upstream": (lazy_gettext("Upstream"), False),
        "status": (lazy_gettext("Status"), False),
        "agent": (lazy_gettext("Agent"), False),
        "changed": (lazy_gettext("Changed"), True),
    },
    default_sort="changed",
)


def parse(args: Mapping[str, str], everyone: Sequence[Agent]) -> ListQuery:
    """The list of hosts that a URL asks for; agents and tags are those there are."""
    words = {name: f"{name} ({count})" for name, count in tags.all_names().items()}
    if 0 < len(wanted := args.get("tag", "")) <= tags.MAX_LENGTH:
        words.setdefault(wanted, wanted)  # the last host of a tag may just have lost it
    return listing.parse(HOSTS, args, {"agent": listing.agents_facet(everyone), "tag": Facet(_("Tag"), words)})


def filter_of(query: ListQuery) -> HostFilter:
    """Which hosts the list shows, on all pages."""
    chosen = query.chosen
    return HostFilter(
        query=query.query,
        agent_id=chosen.get("agent", ""),
        status=chosen.get("status", ""),
        tls=chosen.get("tls", ""),
        upstream=chosen.get("upstream", ""),
        tag=chosen.get("tag", ""),
    )
