"""revoke_certificate: the authority says that it must not be trusted any more.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import run_job, write_result
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def revoke_certificate(job: Job) -> pb.CommandResult:
    """The files stay; a host that uses it goes on."""
    action = job.command.revoke_certificate
    outcome = job.engines.certificates.revoke(action.name, action.reason, run_job(job))
    return write_result(job, "revoke_certificate", action.name, outcome)
