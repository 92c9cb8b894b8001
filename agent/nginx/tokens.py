"""Reads nginx configuration text the way nginx does: words, quotes, escapes, comments, blocks.
May import: agent.errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.errors import BundleRefused

MAX_DEPTH = 6
_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Directive:
    """One directive with the line it starts at. `block` is None when it ends with a semicolon."""

    name: str
    args: tuple[str, ...]
    line: int
    block: list[Directive] | None = field(default=None)


@dataclass(frozen=True)
class Token:
    """A word, or one of ; { } when `mark` is set."""

    text: str
    line: int
    mark: bool = False


def parse(text: str) -> list[Directive]:
    """The tree of directives. Raises BundleRefused with the line where nginx would stumble."""
    root: list[Directive] = []
    stack = [root]
    words: list[Token] = []
    for token in _tokens(text):
        if not token.mark:
            words.append(token)
        elif token.text == "}":
            _close(stack, words, token)
        else:
            _add(stack, words, token)
            words = []
    if words or len(stack) > 1:
        raise BundleRefused("The file ends in the middle of a directive or block.", line=text.count("\n") + 1)
    return root


def _add(stack: list[list[Directive]], words: list[Token], end: Token) -> None:
    if not words:
        raise BundleRefused(f"There is an unexpected “{end.text}”.", line=end.line)
    block: list[Directive] | None = [] if end.text == "{" else None
    stack[-1].append(Directive(words[0].text, tuple(w.text for w in words[1:]), words[0].line, block))
    if block is not None:
        stack.append(block)
    if len(stack) > MAX_DEPTH:
        raise BundleRefused("Blocks are nested too deeply.", line=end.line)


def _close(stack: list[list[Directive]], words: list[Token], token: Token) -> None:
    if words or len(stack) == 1:
        raise BundleRefused("There is an unexpected “}”.", line=token.line)
    stack.pop()


def _tokens(text: str) -> Iterator[Token]:
    """Follows ngx_conf_read_token: quotes, comments and braces count only where a word may start."""
    position, line = 0, 1
    while position < len(text):
        char = text[position]
        if char == "\n":
            line += 1
        if char in _SPACE:
            position += 1
        elif char == "#":
            position = _end_of_line(text, position)
        elif char in ";{}":
            yield Token(char, line, mark=True)
            position += 1
        else:
            start, begun = position, line
            position = _end_of_quoted(text, position, line) if char in "\"'" else _end_of_word(text, position)
            line += text.count("\n", start, position)
            yield Token(_unescape(text[start:position]), begun)


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _end_of_quoted(text: str, start: int, line: int) -> int:
    quote, position = text[start], start + 1
    while position < len(text) and text[position] != quote:
        position += 2 if text[position] == "\\" else 1
    after = text[position + 1 : position + 2]
    # nginx also takes ")" here, for the end of an `if`; this agent allows no `if`.
    if position >= len(text) or (after and after not in _SPACE + ";{"):
        raise BundleRefused("A quoted value does not end where it should.", line=line)
    return position + 1


def _end_of_word(text: str, position: int) -> int:
    variable = False
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 2
            variable = False
            continue
        if char in _SPACE or char == ";" or (char == "{" and not variable):
            break
        if char != "{":
            variable = char == "$"
        position += 1
    return min(position, len(text))


_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "t": "\t", "r": "\r", "n": "\n"}


def _unescape(word: str) -> str:
    """Removes the quotes and those backslashes that nginx removes."""
    if word[0] in "\"'":
        word = word[1:-1]
    out: list[str] = []
    position = 0
    while position < len(word):
        escaped = _ESCAPES.get(word[position + 1 : position + 2]) if word[position] == "\\" else None
        out.append(word[position] if escaped is None else escaped)
        position += 1 if escaped is None else 2
    return "".join(out)
