"""From a click to https: one command, its stages, one order, whatever goes wrong on the way.
May import: agent, protos, tests.agent."""

from __future__ import annotations

from protos import command_stream_pb2 as pb
from tests.agent.certificates.bench import CertificateBench


def test_a_certificate_for_a_host_that_waits_is_served_by_the_end_of_one_command(
    certificates: CertificateBench,
) -> None:
    certificates.add_host("a.example")
    assert certificates.apply().error == ""
    spec = certificates.spec("a.example")
    command_id = certificates.begin(issue_certificate=pb.IssueCertificate(spec=spec, host_waits=True))
    certificates.until(lambda: any(c.present for report in certificates.reports() for c in report.certificates))
    certificates.add_host("a.example", "a.example")  # as the panel does when it hears of it
    applied = certificates.apply()
    assert applied.error == "", applied
    result = certificates.result(command_id)
    assert result.error == "", certificates.text(command_id)
    assert result.issue_certificate.served
    state = result.issue_certificate.certificate
    assert state.present
    assert state.source == pb.CertificateState.ACME
    assert list(state.names) == ["a.example"]
    assert state.serial == certificates.serial("a.example")
    assert state.next_action == "renew"
    assert state.served
    stages = list(dict.fromkeys(certificates.stages(command_id)))
    assert [s for s in stages if s != "cleanup"] == [
        "check",
        "order",
        "challenge",
        "validation",
        "issued",
        "installed",
        "reload",
        "served",
    ]
