"""detach_network: nginx's container leaves a network, now and from now on.
May import: protos, agent.handlers.{docker_wire,job}, agent.output."""

from agent.handlers.docker_wire import write_network
from agent.handlers.job import Job
from agent.output import clean
from protos import command_stream_pb2 as pb


def detach_network(job: Job) -> pb.CommandResult:
    """Repeatable. Raises AttachmentRefused when nginx must stay."""
    wanted, dock = job.command.detach_network.network, job.engines.dock
    job.guard.check()
    job.output.stage("network", f"Taking nginx out of the network {clean(wanted)[:255]}")
    dock.attachments.detach(wanted)
    job.output.succeed(f"nginx is not in {clean(wanted)[:255]}, and is not put back")
    snapshot = dock.look()
    network = next((one for one in snapshot.networks if wanted in {one.name, one.id}), None)
    found = write_network(network, snapshot, dock.nginx_container, dock.wanted()) if network else None
    detail = pb.DetachNetworkResult(network=found)
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, detach_network=detail)
