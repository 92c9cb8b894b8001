"""take_over_certificate: from now on the agent renews what certbot did.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import read_spec, write_result
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def take_over_certificate(job: Job) -> pb.CommandResult:
    """Tells certbot to leave it alone."""
    action = job.command.take_over_certificate
    outcome = job.engines.certificates.take_over(read_spec(action.spec))
    return write_result(job, "take_over_certificate", action.spec.name, outcome)
