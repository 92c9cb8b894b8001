"""delete_certificate: takes the files away.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import write_result
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def delete_certificate(job: Job) -> pb.CommandResult:
    """Refused while the configuration that nginx serves names them."""
    action = job.command.delete_certificate
    outcome = job.engines.certificates.delete(action.name)
    return write_result(job, "delete_certificate", action.name, outcome)
