"""People who log in without a computer's work: how much a hash costs is tests.panel.test_passwords' to prove.
May import: panel, pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from panel import passwords

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same algorithm, in the same pool of threads."""
    monkeypatch.setattr(passwords, "_hasher", CHEAP)
    passwords._dummy_hash.cache_clear()
    yield
    passwords._dummy_hash.cache_clear()
