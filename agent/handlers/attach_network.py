"""attach_network: nginx's container joins a network, now and whenever it is missing there.
May import: protos, agent.handlers.{docker_wire,job}, agent.output."""

from agent.handlers.docker_wire import write_network
from agent.handlers.job import Job
from agent.output import clean
from protos import command_stream_pb2 as pb


def attach_network(job: Job) -> pb.CommandResult:
    """Repeatable. Raises AttachmentRefused, and then nothing is remembered."""
    action, dock = job.command.attach_network, job.engines.dock
    name = clean(action.network)[:255]
    job.guard.check()
    job.output.stage("network", f"Joining nginx to the network {name}")
    network = dock.attachments.attach(action.network, tuple(action.aliases))
    job.output.succeed(f"nginx is in {name}, and is put back whenever it is missing there")
    snapshot = dock.look()
    found = write_network(snapshot.network(network.id) or network, snapshot, dock.nginx_container, dock.wanted())
    detail = pb.AttachNetworkResult(network=found)
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, attach_network=detail)
