"""What lets the agent write into somebody's DNS.
May import: the standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DnsCredential:
    """The values of one account at one provider, under the names of that provider's fields."""

    id: str
    label: str
    provider: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
