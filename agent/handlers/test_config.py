"""test_config: what would nginx say of a bundle? Touches nothing live.
May import: protos, agent.errors, agent.handlers.{job,wire}, agent.nginx."""

from agent.errors import BundleRefused
from agent.handlers.job import Job
from agent.handlers.wire import read_bundle, write_errors, write_warnings
from agent.nginx.trial import Verdict, describe
from agent.nginx.words import FileError, place
from protos import command_stream_pb2 as pb


def test_config(job: Job) -> pb.CommandResult:
    """Tests the whole bundle with nginx -t; every refused file is named."""
    bundle = read_bundle(job.command.test_config.bundle)
    try:
        verdict = job.engines.stager.test(bundle, job.source, job.output, job.guard)
    except BundleRefused as error:
        errors = (FileError(error.path, error.line, error.message),) if error.path else ()
        verdict = Verdict(file_errors=errors, problem="" if errors else error.message)
        job.output.fail(place(error.path, error.line, error.message))
    detail = pb.TestConfigResult(
        file_errors=write_errors(verdict.file_errors), warnings=write_warnings(verdict.warnings)
    )
    if verdict.ok:
        return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, test_config=detail)
    return pb.CommandResult(outcome=pb.CommandResult.FAILED, error=describe(verdict), test_config=detail)
