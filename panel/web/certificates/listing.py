"""What the list of certificates can be filtered and sorted by.
May import: panel.web.listing."""

from __future__ import annotations

from panel.web.listing import Shape

CERTIFICATES = Shape(
    path="/certificates",
    statuses={"due": "Due", "failing": "Failing", "unused": "Not used by a host"},
    columns={
        "name": ("Certificate", False),
        "expires": ("Days left", False),
        "authority": ("Authority", False),
        "agent": ("Agent", False),
        "next": ("Next renewal", False),
    },
    default_sort="expires",
)
