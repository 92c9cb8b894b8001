"""The cards of a job as plain values, and all that is known when one is made.
May import: panel.models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from panel.i18n import translated
from panel.models import Certificate, Command, CommandKind, ProxyHost


@dataclass(frozen=True)
class Fact:
    """One line of the facts: a word, a value, and the page it leads to or ""."""

    name: str
    value: str
    url: str = ""
    is_code: bool = False


@dataclass(frozen=True)
class NextStep:
    """One thing to do; `url` is a page of this panel or ""."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Refusal:
    """One file that nginx refused, in nginx's own words; `url` leads to the field when it belongs to a host."""

    name: str
    place: str
    text: str
    url: str = ""


@dataclass(frozen=True)
class Failure:
    """What the card says. `is_harmless` is set when nobody who visits a site notices anything.

    `names` are those at fault, `words` the authority's own, `portal` a page of the authority's that a person must
    open; `retry_at` is when it is tried again without anybody's doing."""

    title: str
    what: str
    who: str
    steps: tuple[NextStep, ...]
    refusals: tuple[Refusal, ...] = ()
    is_harmless: bool = False
    is_question: bool = False
    names: tuple[str, ...] = ()
    words: str = ""
    portal: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """All that is known of a failed job."""

    command: Command
    stage: str
    last_error: str
    hosts: tuple[ProxyHost, ...]
    certificate: Certificate | None = None
    used_by: tuple[ProxyHost, ...] = ()

    @property
    def is_about_certificate(self) -> bool:
        """Whether nginx's configuration is none of its business."""
        return CommandKind(self.command.kind).is_about_certificate

    @property
    def agent_url(self) -> str:
        """The page of the agent."""
        return f"/agents/{self.command.agent_id}"

    @property
    def error(self) -> str:
        """What was said of the end, in the reader's language where it is a sentence of the panel."""
        return translated(self.command.error)

    @property
    def text(self) -> str:
        """Where the words of nginx and the agent are looked up, in lower case."""
        return f"{self.command.error}\n{self.last_error}".lower()
