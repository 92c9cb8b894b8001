"""configure_certificate: another spec for the renewals to come.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import read_spec, write_result
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def configure_certificate(job: Job) -> pb.CommandResult:
    """Orders nothing."""
    action = job.command.configure_certificate
    outcome = job.engines.certificates.configure(read_spec(action.spec))
    return write_result(job, "configure_certificate", action.spec.name, outcome)
