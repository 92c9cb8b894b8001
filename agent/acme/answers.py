"""What shows an authority that a name is ours.
May import: the standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """Of one name. `base` is the name without `*.`; `text` is the key authorization (RFC 8555 section 8.1)."""

    base: str
    token: str
    text: str
