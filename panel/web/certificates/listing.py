"""What the list of certificates can be filtered and sorted by.
May import: panel.web.listing, panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent
from panel.services import authorities
from panel.web import listing
from panel.web.listing import Facet, ListQuery, Shape

CERTIFICATES = Shape(
    path="/certificates",
    facets={
        "status": Facet(
            lazy_gettext("Status"),
            {
                "due": lazy_gettext("Due"),
                "failing": lazy_gettext("Failing"),
                "unused": lazy_gettext("Not used by a host"),
            },
        )
    },
    columns={
        "name": (lazy_gettext("Certificate"), False),
        "expires": (lazy_gettext("Days left"), False),
        "authority": (lazy_gettext("Authority"), False),
        "agent": (lazy_gettext("Agent"), False),
        "next": (lazy_gettext("Next renewal"), False),
    },
    default_sort="expires",
)


def parse(args: Mapping[str, str], everyone: Sequence[Agent]) -> ListQuery:
    """The list of certificates that a URL asks for; agents and authorities are those there are."""
    issuers = {str(one.id): one.name for one in authorities.list_all()}
    return listing.parse(
        CERTIFICATES, args, {"agent": listing.agents_facet(everyone), "authority": Facet(_("Authority"), issuers)}
    )
