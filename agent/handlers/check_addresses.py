"""check_addresses: where do these names lead to? A question.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import write_finding
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def check_addresses(job: Job) -> pb.CommandResult:
    """One finding for each name. That it leads elsewhere is an answer and not a failure."""
    asked = job.command.check_addresses
    findings = job.engines.look_up(list(asked.names), asked.dns_server, asked.test)
    detail = pb.CheckAddressesResult(findings=[write_finding(finding) for finding in findings])
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, check_addresses=detail)
