"""install_certificate: a certificate that a person uploaded.
May import: protos, agent.handlers.{job,certificate_wire}."""

from agent.handlers.certificate_wire import run_job, write_result
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def install_certificate(job: Job) -> pb.CommandResult:
    """One of the same name is replaced in place."""
    action = job.command.install_certificate
    chain, key = action.fullchain_pem.decode("ascii", "replace"), action.key_pem.decode("ascii", "replace")
    outcome = job.engines.certificates.upload(action.name, chain, key, run_job(job), host_waits=action.host_waits)
    return write_result(job, "install_certificate", action.name, outcome)
