"""Browsers of people who are logged in, and an authority to ask for certificates."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.models import User
from tests.certificates import add_authority
from tests.conftest import login


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
