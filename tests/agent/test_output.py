"""Output lines: hostile text becomes harmless, and no command can fill the memory or the disk.
May import: agent."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.output import MAX_LINE, MAX_LINES, Output, OutputLine, clean, clean_lines


class Store:
    """Remembers batches in the order they became durable."""

    def __init__(self) -> None:
        self.batches: list[list[OutputLine]] = []
        self.told: list[int] = []

    def append_lines(self, _command_id: str, lines: Sequence[OutputLine]) -> None:
        self.batches.append(list(lines))

    def notify(self, _command_id: str) -> None:
        self.told.append(len(self.batches))

    @property
    def lines(self) -> list[OutputLine]:
        return [line for batch in self.batches for line in batch]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"plain", ["plain"]),
        (b"\x1b[31mred\x1b[0m", ["red"]),
        (b"\x1b]0;title\x07text", ["text"]),
        (b"\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", ["link"]),
        (b"safe\revil", ["safe", "evil"]),
        (b"a\x00b\x08c\x7f", ["abc"]),
        (b"\xff\xfe ok", ["\ufffd\ufffd ok"]),
        ("\u202eevil\u2066x", ["evilx"]),
        ("a\u2028b\x85c", ["a", "b", "c"]),
        ("\udc80", ["?"]),
        ("tab\there", ["tab    here"]),
        (b"one\n\ntwo\n\n", ["one", "", "two"]),
        (b"\x9b31m c1", ["\ufffd31m c1"]),
        ("grün 漢字", ["grün 漢字"]),
    ],
)
def test_escapes_controls_and_bad_bytes_do_not_get_through(raw: str | bytes, expected: list[str]) -> None:
    assert clean_lines(raw) == expected


def test_one_endless_line_is_cut() -> None:
    (line,) = clean_lines(b"x" * 10_000_000)
    assert len(line) == MAX_LINE
    assert clean("a\nb") == "a b"


def test_lines_are_numbered_and_belong_to_their_stage() -> None:
    store = Store()
    output = Output("c", store, store.notify, last_seq=7)
    output.stage("fetch", "Fetching")
    output.info("one\ntwo")
    output.close()
    assert [(line.seq, line.stage, line.level, line.text) for line in store.lines] == [
        (8, "fetch", "stage", "Fetching"),
        (9, "fetch", "info", "one"),
        (10, "fetch", "info", "two"),
    ]
    assert output.last_seq == 10


def test_a_record_is_one_line_that_can_be_copied() -> None:
    store = Store()
    output = Output("c", store, store.notify)
    output.record("_acme-challenge.example.com", "TXT", "value\nTXT other")
    output.close()
    assert [(line.level, line.text) for line in store.lines] == [
        ("record", "_acme-challenge.example.com TXT value TXT other")
    ]


def test_nobody_is_told_before_the_lines_are_durable() -> None:
    store = Store()
    output = Output("c", store, store.notify)
    for number in range(120):
        output.info(str(number))
    output.close()
    assert store.told == list(range(1, len(store.batches) + 1))
    assert max(len(batch) for batch in store.batches) <= 50


def test_a_million_lines_end_with_one_line_that_says_so() -> None:
    store = Store()
    output = Output("c", store, store.notify)
    for _ in range(12):
        output.info(b"x\n" * 1000)
    output.close()
    assert len(store.lines) == MAX_LINES
    assert [line.text for line in store.lines].count("truncated: the rest of the output is not kept") == 1


def test_a_mebibyte_ends_with_one_line_that_says_so() -> None:
    store = Store()
    output = Output("c", store, store.notify)
    for _ in range(400):
        output.info(b"y" * 4000)
    output.close()
    assert sum(len(line.text) for line in store.lines) <= 1 << 20
    assert store.lines[-1].text.startswith("truncated")
