"""User names and passwords: what is refused, and what is kept."""

from __future__ import annotations

import pytest

from panel import passwords
from panel.errors import Invalid
from panel.services import user_credentials


def test_credentials_are_checked_before_anything_is_hashed() -> None:
    credentials = user_credentials.prepare(" Dora ", "correct horse battery staple")
    assert credentials.username == "dora"
    assert passwords.verify(credentials.password_hash, "correct horse battery staple")
    with pytest.raises(Invalid):
        user_credentials.prepare("dora", "short")


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "-a", "a.", "a b", "a\n", "a\x00b", "ä", "a" * 65, "{{ config }}", "../x", "а"],  # noqa: RUF001
)
def test_a_name_that_would_confuse_is_refused(name: str) -> None:
    if name == "a\n":
        assert user_credentials.parse_username(name) == "a"
        return
    with pytest.raises(Invalid) as refusal:
        user_credentials.parse_username(name)
    assert refusal.value.field == "username"
