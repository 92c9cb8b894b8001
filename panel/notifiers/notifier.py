"""What a kind of channel is: the fields that it asks for, and how it sends one message.
May import: the standard library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Settings = Mapping[str, str]


class NotifierError(Exception):
    """A message that was not taken. The sentence says why and what to do, and holds no secret."""


@dataclass(frozen=True)
class Field:
    """One thing that a channel needs to know. A secret is never shown again once it is stored.

    `is_target` says that secrets are sent to what this names: whoever changes it must enter them again, so that a
    stored secret cannot be had by sending it elsewhere.
    """

    name: str
    label: str
    help: str = ""
    is_secret: bool = False
    is_optional: bool = False
    is_target: bool = False
    is_multiline: bool = False
    choices: tuple[tuple[str, str], ...] = ()  # value and label
    default: str = ""


@dataclass(frozen=True)
class Message:
    """What is sent. `level` is info, ok, warning or error; `reference` is the same whenever this is sent again."""

    subject: str
    text: str
    level: str
    reference: str


@dataclass(frozen=True)
class Notifier:
    """One kind of channel.

    `check` raises Invalid at a field whose shape is wrong, and asks nobody. `summarize` says in a few words where
    messages go, with no secret. `send` runs in a process of its own; it returns "" or what the person should know
    although the message was taken, and raises NotifierError.
    """

    kind: str  # at most 16 characters
    label: str
    help: str
    fields: tuple[Field, ...]
    check: Callable[[Settings], None]
    summarize: Callable[[Settings], str]
    send: Callable[[Settings, Message], str]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of its secret fields."""
        return tuple(field.name for field in self.fields if field.is_secret)
