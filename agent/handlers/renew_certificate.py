"""renew_certificate: now, whoever asked for it.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import run_job, write_result
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def renew_certificate(job: Job) -> pb.CommandResult:
    """By the spec that the agent has."""
    action = job.command.renew_certificate
    outcome = job.engines.certificates.renew(action.name, run_job(job))
    return write_result(job, "renew_certificate", action.name, outcome)
