"""What the panel keeps of a secret that somebody shows again: a link, a session's key, a join token, a recovery code.
May import: the standard library only."""

from __future__ import annotations

import hashlib


def hash_secret(secret: str) -> str:
    """Its SHA-256 in hexadecimal. For random secrets only: what a person chose needs panel.passwords."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
