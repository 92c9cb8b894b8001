"""check_dns_credential: may this credential edit the zone? A question.
May import: protos, agent.dns, agent.handlers.{job,certificate_wire}."""

from agent.dns.check import check
from agent.handlers.certificate_wire import read_credential
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def check_dns_credential(job: Job) -> pb.CommandResult:
    """Writes, reads and removes a record of its own. A credential that is refused is an answer and not a failure."""
    action = job.command.check_dns_credential
    found = check(read_credential(action.credential), action.zone, seconds=max(1.0, job.guard.remaining() - 1))
    detail = pb.CheckDnsCredentialResult(ok=found.ok, sentence=found.sentence, zones=found.zones)
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, check_dns_credential=detail)
