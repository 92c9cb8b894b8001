"""What the list of certificates can be filtered and sorted by.
May import: panel.web.listing, panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from panel.models import Agent
from panel.services import authorities
from panel.web import listing
from panel.web.listing import Facet, ListQuery, Shape

CERTIFICATES = Shape(
    path="/certificates",
    facets={"status": Facet("Status", {"due": "Due", "failing": "Failing", "unused": "Not used by a host"})},
    columns={
        "name": ("Certificate", False),
        "expires": ("Days left", False),
        "authority": ("Authority", False),
        "agent": ("Agent", False),
        "next": ("Next renewal", False),
    },
    default_sort="expires",
)


def parse(args: Mapping[str, str], everyone: Sequence[Agent]) -> ListQuery:
    """The list of certificates that a URL asks for; agents and authorities are those there are."""
    issuers = {str(one.id): one.name for one in authorities.list_all()}
    return listing.parse(
        CERTIFICATES, args, {"agent": listing.agents_facet(everyone), "authority": Facet("Authority", issuers)}
    )
