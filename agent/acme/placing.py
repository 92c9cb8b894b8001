"""Challenges in place: files for nginx, or records in DNS; taken away in every case.
May import: agent.acme.http01|dns01|spec, agent.nginx.guard, agent.output."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.acme.http01 import TokenFiles
from agent.acme.spec import Authority, CertificateSpec, Challenge
from agent.nginx.guard import Guard
from agent.output import Output


@dataclass(frozen=True)
class Answer:
    """What shows that one name is ours. `base` is the name without `*.`; `text` is the key authorization."""

    base: str
    token: str
    text: str


@dataclass(frozen=True)
class Placing:
    """How the names of one certificate are shown to be ours."""

    spec: CertificateSpec
    authority: Authority
    webroot: Path
    output: Output
    guard: Guard

    def describe(self, count: int) -> str:
        """What the stage is about to do."""
        things = ("token file", "token files") if self.spec.challenge is Challenge.HTTP_01 else ("record", "records")
        return f"Putting {count} {things[count != 1]} in place."

    def place(self, answers: Sequence[Answer], placed: ExitStack) -> None:
        """Puts all of them in place until `placed` is closed."""
        if self.spec.challenge is Challenge.HTTP_01:
            files = placed.enter_context(TokenFiles(self.webroot))
            placed.callback(self.output.stage, "cleanup", "Removing the token files.")  # runs before the files go
            for answer in answers:
                files.write(answer.token, answer.text)
            self.output.succeed("Written where nginx looks for /.well-known/acme-challenge/.")

    def sweep(self, answers: Sequence[Answer]) -> None:
        """Takes away what an agent that was killed may have left of these."""
        if self.spec.challenge is Challenge.HTTP_01:
            TokenFiles(self.webroot).sweep([answer.token for answer in answers])
