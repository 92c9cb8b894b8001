"""What the list of hosts can be filtered and sorted by.
May import: panel.web.listing."""

from __future__ import annotations

from panel.web.listing import Shape

HOSTS = Shape(
    path="/hosts",
    statuses={
        "serving": "Serving",
        "unapplied": "Not live yet or changed",
        "refused": "Refused by nginx",
        "disabled": "Disabled",
    },
    columns={
        "name": ("Host", False),
        "upstream": ("Upstream", False),
        "status": ("Status", False),
        "agent": ("Agent", False),
        "changed": ("Changed", True),
    },
    default_sort="changed",
)
