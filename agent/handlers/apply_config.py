"""apply_config: make nginx serve a bundle, or leave it serving what it served.
May import: protos, agent.handlers.{docker_wire,job,wire}."""

from agent.handlers.docker_wire import read_upstream
from agent.handlers.job import Job
from agent.handlers.wire import read_bundle, write_outcome
from protos import command_stream_pb2 as pb


def apply_config(job: Job) -> pb.CommandResult:
    """Fetches, tests, switches, reloads and proves; see agent.nginx.apply."""
    action, dock = job.command.apply_config, job.engines.dock
    bundle = read_bundle(action.bundle)
    try:
        dock.upstreams.remember(bundle.revision, [read_upstream(one) for one in action.upstreams])
    except OSError as error:
        job.output.warn(f"What the hosts lead to could not be written down ({error.strerror}), so it is not checked.")
    try:
        outcome = job.engines.applier.apply(job.command.command_id, bundle, job.source, job.output, job.guard)
    finally:
        dock.rounds.applied()
    return write_outcome(outcome)
