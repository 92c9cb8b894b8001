"""list_containers: which containers has this machine? A question.
May import: protos, agent.handlers.{docker_wire,job}."""

from agent.handlers.docker_wire import write_containers
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def list_containers(job: Job) -> pb.CommandResult:
    """Asks the Engine anew."""
    containers = write_containers(job.engines.dock.look())
    job.output.succeed(f"{len(containers)} containers")
    detail = pb.ListContainersResult(containers=containers)
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, list_containers=detail)
