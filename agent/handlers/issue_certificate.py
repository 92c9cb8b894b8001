"""issue_certificate: check, order, validate, install, and see it served.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import read_wish, run_job, write_result
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def issue_certificate(job: Job) -> pb.CommandResult:
    """See agent.acme.attempt. The spec is kept, and renewals follow it."""
    action = job.command.issue_certificate
    outcome = job.engines.certificates.issue(read_wish(action), run_job(job))
    return write_result(job, "issue_certificate", action.spec.name, outcome)
