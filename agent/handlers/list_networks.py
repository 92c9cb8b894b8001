"""list_networks: which networks has this machine, and is nginx in them? A question.
May import: protos, agent.handlers.{docker_wire,job}."""

from agent.handlers.docker_wire import write_networks
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def list_networks(job: Job) -> pb.CommandResult:
    """Asks the Engine anew."""
    dock = job.engines.dock
    networks = write_networks(dock.look(), dock.nginx_container, dock.wanted())
    job.output.succeed(f"{len(networks)} networks")
    detail = pb.ListNetworksResult(networks=networks)
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, list_networks=detail)
