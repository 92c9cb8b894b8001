"""reload: load the current files again, and prove that nginx did.
May import: protos, agent.handlers.job."""

from agent.handlers.job import Job
from protos import command_stream_pb2 as pb


def reload(job: Job) -> pb.CommandResult:
    """HUP and proof. Changes no file, so there is nothing to roll back."""
    revision = job.engines.reloader.reload(job.output, job.guard)
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, reload=pb.ReloadResult(revision=revision))
