"""What the agent says fits into a message, however much there is to say.
May import: protos, agent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.acme.certificates import Certificates
from agent.acme.outcome import Status
from agent.acme.spec import Failure
from agent.acme.state import Memory, Source
from agent.handlers.certificate_reports import CertificateReporter
from agent.handlers.wire import write_errors, write_outcome, write_warnings
from agent.nginx.outcome import Outcome
from agent.nginx.words import FileError
from agent.stream.channel import MAX_MESSAGE
from protos import command_stream_pb2 as pb

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_the_refusal_of_thousands_of_hosts_fits_into_a_message() -> None:
    """A certificate that they all share is gone, for example."""
    text = "The certificate file is missing. nginx: " + "x" * 300
    errors = tuple(FileError(f"hosts/{number}-a.example.conf", 12, text) for number in range(5000))
    outcome = Outcome("", "nginx refuses it", "test", file_errors=errors, warnings=(text,) * 5000)
    result = write_outcome(outcome)
    assert result.ByteSize() < MAX_MESSAGE
    assert result.apply_config.file_errors[0].path == "hosts/0-a.example.conf"
    assert len(result.apply_config.file_errors) > 1000
    assert len(result.apply_config.warnings) > 1000
    assert (len(write_errors(errors[:9])), write_warnings(["one"])) == (9, ["one"])


class Failing(Certificates):
    """Hundreds of certificates that were refused at length."""

    def __init__(self, count: int) -> None:
        self._count = count

    def statuses(self) -> list[Status]:
        failure = Failure("other", "It was refused.", "Read its own words.", "x" * 4096)
        return [self._refused(f"{number}.example", failure) for number in range(self._count)]

    def _refused(self, name: str, failure: Failure) -> Status:
        memory = Memory(name, failures=3, failure=failure, failed_at=NOW)
        return Status(name, Source.ACME, None, "", Path("/chain"), Path("/key"), "", is_served=False, memory=memory)

    @property
    def folder(self) -> Path:
        return Path("/etc/letsencrypt")

    def folder_problem(self) -> str:
        return ""


@pytest.mark.parametrize(("count", "detail"), [(10, 4096), (400, 0)])
def test_a_report_of_many_failures_names_every_certificate(count: int, detail: int) -> None:
    sent: list[pb.AgentMessage] = []

    def send(message: pb.AgentMessage) -> bool:
        sent.append(message)
        return True

    CertificateReporter(Failing(count), pb.NginxFacts, send).report()
    assert sent[0].ByteSize() < MAX_MESSAGE
    told: Sequence[pb.CertificateState] = sent[0].report.certificates.certificates
    assert [state.name for state in told] == [f"{number}.example" for number in range(count)]
    assert {state.last_failure.sentence for state in told} == {"It was refused."}
    assert {len(state.last_failure.detail) for state in told} == {detail}
