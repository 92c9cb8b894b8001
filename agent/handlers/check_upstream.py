"""check_upstream: can nginx reach this, and if not, why? A question.
May import: protos, agent.handlers.{docker_wire,job}."""

from agent.handlers.docker_wire import read_upstream, write_state
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def check_upstream(job: Job) -> pb.CommandResult:
    """That nginx does not get through is an answer and not a failure."""
    state = job.engines.dock.rounds.check(read_upstream(job.command.check_upstream.upstream))
    if state.finding.cause:
        job.output.warn(state.finding.sentence)
    else:
        job.output.succeed(f"nginx reaches {state.upstream}")
    detail = pb.CheckUpstreamResult(state=write_state(state))
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, check_upstream=detail)
