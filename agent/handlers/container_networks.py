"""container_networks: which networks is a container in? A question.
May import: protos, agent.errors, agent.handlers.{docker_wire,job}, agent.output."""

from agent.errors import AgentError
from agent.handlers.docker_wire import write_endpoints
from agent.handlers.job import Job
from agent.output import clean
from protos import command_stream_pb2 as pb


def container_networks(job: Job) -> pb.CommandResult:
    """Asks the Engine anew. Raises AgentError when there is no such container."""
    name = job.command.container_networks.container
    container = next((one for one in job.engines.dock.look().containers if one.is_called(name)), None)
    if container is None:
        raise AgentError(f"There is no container {clean(name)[:100]} on this machine.")
    job.output.succeed(f"{clean(container.name)} is in {len(container.endpoints)} networks")
    detail = pb.ContainerNetworksResult(endpoints=write_endpoints(container.endpoints))
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, container_networks=detail)
