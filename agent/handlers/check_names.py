"""check_names: what would stand in the way of a certificate? A question.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import read_spec, write_finding
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def check_names(job: Job) -> pb.CommandResult:
    """Asks an authority for its directory and for nothing else. What was found is the answer, also when it is bad."""
    findings = job.engines.certificates.check(read_spec(job.command.check_names.spec))
    detail = pb.CheckNamesResult(findings=[write_finding(finding) for finding in findings])
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, check_names=detail)
