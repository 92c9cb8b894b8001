"""apply_config: make nginx serve a bundle, or leave it serving what it served.
May import: protos, agent.handlers.{job,wire}."""

from agent.handlers.job import Job
from agent.handlers.wire import read_bundle, write_outcome
from protos import command_stream_pb2 as pb


def apply_config(job: Job) -> pb.CommandResult:
    """Fetches, tests, switches, reloads and proves; see agent.nginx.apply."""
    bundle = read_bundle(job.command.apply_config.bundle)
    outcome = job.engines.applier.apply(job.command.command_id, bundle, job.source, job.output, job.guard)
    return write_outcome(outcome)
