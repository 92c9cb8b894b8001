"""What comes from an agent is hostile until it is clean."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from panel.models import Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.rpc import messages, orders, results
from panel.rpc.orders import Files
from panel.rpc.text import MAX_TEXT, clean
from protos import command_stream_pb2 as pb


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title", ""),
        ("over\rwritten", "overwritten"),
        ("a\tb\nc\x00d\x9be", "a bcde"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("line\u2028break", "linebreak"),
        ("<script>", "<script>"),
    ],
)
def test_text_is_stripped_of_all_that_acts(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_text_is_cut_at_its_limit() -> None:
    assert len(clean("x" * 5_000_000)) == MAX_TEXT


def test_lines_are_capped_in_number_and_numbering() -> None:
    many = [pb.OutputLine(seq=seq, text="x") for seq in range(1, 2000)]
    assert len(messages.output_lines(many, utcnow())) == messages.MAX_LINES
    assert messages.output_lines([pb.OutputLine(seq=0), pb.OutputLine(seq=1 << 63)], utcnow()) == []


def test_a_time_that_no_calendar_knows_becomes_now() -> None:
    now = utcnow()
    strange = pb.OutputLine(seq=1, at=Timestamp(seconds=1 << 60))
    assert messages.output_lines([strange], now)[0].at == now


def command(kind: CommandKind, payload: dict[str, Any]) -> Command:
    expires_at = utcnow() + timedelta(hours=1)
    return Command(id="c1", seq=1, kind=kind, payload=payload, expires_at=expires_at, run_timeout=60.0)


@pytest.mark.parametrize(
    ("outcome", "state", "reason", "known"),
    [
        (pb.CommandResult.FAILED, CommandState.FAILED, "FAILED", True),
        (pb.CommandResult.EXPIRED, CommandState.EXPIRED, "EXPIRED", True),
        (pb.CommandResult.CANCELLED, CommandState.CANCELLED, "CANCELLED", True),
        (pb.CommandResult.UNSUPPORTED, CommandState.FAILED, "UNSUPPORTED", True),
        (pb.CommandResult.INTERRUPTED, CommandState.FAILED, "INTERRUPTED", False),
        (pb.CommandResult.OUTCOME_UNSPECIFIED, CommandState.FAILED, "FAILED", True),
    ],
)
def test_every_end_has_a_state_a_reason_and_a_sentence(
    outcome: pb.CommandResult.Outcome.ValueType, state: CommandState, reason: str, known: bool
) -> None:
    result = results.outcome(command(CommandKind.RELOAD, {}), pb.CommandResult(outcome=outcome))
    assert (result.state, result.reason, result.outcome_known) == (state, reason, known)
    assert result.error.endswith(".")


def test_a_success_of_another_kind_of_command_is_not_believed() -> None:
    reply = pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, reload=pb.ReloadResult(revision="r"))
    result = results.outcome(command(CommandKind.APPLY_CONFIG, {"revision": "r"}), reply)
    assert (result.state, result.outcome_known) == (CommandState.FAILED, False)


def test_a_failed_apply_says_whether_it_was_rolled_back() -> None:
    detail = pb.ApplyConfigResult(rolled_back=True, file_errors=[pb.FileError(path="hosts/1.conf", line=3, text="no")])
    reply = pb.CommandResult(outcome=pb.CommandResult.FAILED, apply_config=detail)
    result = results.outcome(command(CommandKind.APPLY_CONFIG, {}), reply)
    assert result.reason == "ROLLED_BACK"
    assert result.result["file_errors"] == [{"path": "hosts/1.conf", "line": 3, "text": "no"}]


def test_a_bundle_carries_only_what_the_agent_lacks_and_never_too_much() -> None:
    texts = {f"{number:064x}": "x" * 60_000 for number in range(10)}
    manifest = {f"hosts/{sha256}.conf": sha256 for sha256 in texts}
    held = set(list(texts)[:2])
    lacked = {sha256: text for sha256, text in texts.items() if sha256 not in held}
    files = Files(manifest, dict.fromkeys(texts, 60_000), lacked)
    message = orders.command(command(CommandKind.APPLY_CONFIG, {"revision": "r"}), files)
    bundle = message.command.apply_config.bundle
    assert len(bundle.files) == 10
    assert {file.size for file in bundle.files} == {60_000}
    assert len(bundle.contents) == 4
    assert not {content.sha256 for content in bundle.contents} & held
    assert message.ByteSize() < orders.MAX_MESSAGE


def test_a_bundle_too_large_for_one_message_is_refused_here() -> None:
    manifest = {f"hosts/{'x' * 200}{number}.conf": "0" * 64 for number in range(5000)}
    with pytest.raises(ValueError, match="does not fit"):
        orders.command(command(CommandKind.APPLY_CONFIG, {"revision": "r"}), Files(manifest, {"0" * 64: 0}, {}))


def test_a_bundle_of_which_nothing_is_known_is_refused_here() -> None:
    with pytest.raises(ValueError, match="nothing is known"):
        orders.command(command(CommandKind.APPLY_CONFIG, {"revision": "r"}), Files({}, {}, {}))


@pytest.mark.parametrize(("size", "pieces"), [(0, 1), (1, 1), (256 << 10, 1), ((256 << 10) + 1, 2)])
def test_contents_are_cut_into_pieces_with_the_last_one_marked(size: int, pieces: int) -> None:
    made = [message.content for message in orders.chunks("0" * 64, "x" * size)]
    assert len(made) == pieces
    assert b"".join(piece.data for piece in made) == b"x" * size
    assert [piece.last for piece in made] == [False] * (pieces - 1) + [True]
