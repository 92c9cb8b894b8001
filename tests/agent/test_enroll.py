"""Joining: only with the panel that the token is from, and only with a token that the panel takes.
May import: agent, tests.agent.far_side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.enroll import join
from agent.errors import Refused, Unreachable
from agent.identity import load
from tests.agent.far_side import FarSide, WellKnown
from tests.product import free_ports


@pytest.fixture
def far_side() -> Iterator[FarSide]:
    far_side = FarSide()
    yield far_side
    far_side.stop()


@pytest.fixture
def page(far_side: FarSide) -> Iterator[WellKnown]:
    page = WellKnown(far_side)
    yield page
    page.stop()


def test_a_token_becomes_an_identity_that_only_this_user_can_read(
    page: WellKnown, far_side: FarSide, tmp_path: Path
) -> None:
    folder = tmp_path / "identity"
    identity = join(page.url, page.token, folder)
    assert (identity.agent_id, identity.host, identity.stream_port) == ("agent-1", "127.0.0.1", far_side.port)
    assert load(folder) == identity
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in folder.iterdir()] == ["identity.json"]
    assert page.token not in (folder / "identity.json").read_text()


def test_a_lost_reply_is_asked_for_again_with_the_same_key(page: WellKnown, far_side: FarSide, tmp_path: Path) -> None:
    far_side.lose_enrollment_replies = 1
    with pytest.raises(Unreachable):
        join(page.url, page.token, tmp_path)
    assert (tmp_path / "joining.key").stat().st_mode & 0o777 == 0o600
    join(page.url, page.token, tmp_path)
    assert len(far_side.enrolled_keys) == 2
    assert len(set(far_side.enrolled_keys)) == 1


def test_a_used_token_is_refused_in_the_panel_s_words(page: WellKnown, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="This token is over"):
        join(page.url, page.token.replace("secret-secret-secret", "another-another-x"), tmp_path)


def test_a_panel_with_another_ca_is_not_spoken_to(page: WellKnown, far_side: FarSide, tmp_path: Path) -> None:
    secret, fingerprint = page.token.rsplit(".", 1)
    with pytest.raises(Refused, match="is not the panel that this token is from"):
        join(page.url, f"{secret}.{fingerprint[::-1]}", tmp_path)
    assert far_side.enrolled_keys == []


@pytest.mark.parametrize("token", ["", "wp1", "wp1.x.y", "wp2.secret-secret-secret." + "0" * 64])
def test_half_a_token_is_said_to_be_half(page: WellKnown, tmp_path: Path, token: str) -> None:
    with pytest.raises(Refused, match="not complete"):
        join(page.url, token, tmp_path)


def test_no_panel_and_no_panel_s_page_are_told_apart_from_a_refusal(page: WellKnown, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unreachable, match="cannot be reached"):
        join(f"http://127.0.0.1:{port}", page.token, tmp_path)
    with pytest.raises(Unreachable, match="answered 404"):
        join(f"{page.url}/elsewhere", page.token, tmp_path)


def test_a_damaged_identity_is_no_identity(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text('{"agent_id": "x"}')
    assert load(tmp_path) is None
