"""Browsers of people who are logged in, and an authority to ask for certificates. They log in without a computer's
work: how much a hash costs is tests.panel.test_passwords' to prove. May import: panel, tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from panel import passwords
from panel.models import User
from tests.certificates import add_authority
from tests.conftest import login

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same algorithm, in the same pool of threads."""
    monkeypatch.setattr(passwords, "_hasher", CHEAP)
    passwords._dummy_hash.cache_clear()
    yield
    passwords._dummy_hash.cache_clear()


@pytest.fixture
def alices(client: FlaskClient, alice: User) -> FlaskClient:
    """Alice's browser; she is an administrator."""
    login(client, alice)
    return client


@pytest.fixture
def bobs(client: FlaskClient, bob: User) -> FlaskClient:
    """Bob's browser; he is an operator."""
    login(client, bob)
    return client


@pytest.fixture
def authority(app: Flask) -> int:
    """The default authority; its id."""
    return add_authority(app, is_default=True)
