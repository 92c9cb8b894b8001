"""Challenges in place: files for nginx, or records in DNS; taken away in every case.
May import: agent.acme.answers|http01|dns01|spec, agent.nginx.guard, agent.output."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from agent.acme.answers import Answer
from agent.acme.http01 import TokenFiles
from agent.acme.spec import Authority, CertificateSpec, Challenge
from agent.nginx.guard import Guard
from agent.output import Output


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
        """Puts all of them in place until `placed` is closed. Raises OSError, DnsFailure, and what the guard raises."""
        if self.spec.challenge is Challenge.DNS_01:
            placed.enter_context(_dns01().published(self.spec, self.authority, answers, self.output, self.guard))
            return
        files = placed.enter_context(TokenFiles(self.webroot))
        placed.callback(self.output.stage, "cleanup", "Removing the token files.")  # runs before the files go
        for answer in answers:
            files.write(answer.token, answer.text)
        self.output.succeed("Written where nginx looks for /.well-known/acme-challenge/.")

    def sweep(self, answers: Sequence[Answer]) -> None:
        """Takes away what an agent that was killed may have left of these."""
        if self.spec.challenge is Challenge.DNS_01:
            _dns01().sweep(self.spec, self.authority, answers, self.output)
            return
        TokenFiles(self.webroot).sweep([answer.token for answer in answers])


def _dns01() -> ModuleType:
    from agent.acme import dns01  # noqa: PLC0415 - dnspython, which HTTP-01 does not need

    return dns01
