"""check_nginx: how is nginx now? A question.
May import: protos, agent.errors, agent.handlers.{job,wire}."""

from agent.errors import NginxUnavailable
from agent.handlers.job import Job
from agent.handlers.wire import write_facts
from protos import command_stream_pb2 as pb


def check_nginx(job: Job) -> pb.CommandResult:
    """Looks and changes nothing. A stopped nginx is an answer and not a failure."""
    detail = pb.CheckNginxResult(nginx=write_facts(job.engines.nginx.facts()))
    try:
        processes = job.engines.nginx.processes()
    except NginxUnavailable as error:
        job.output.warn(error.message)
    else:
        detail.master_pid = processes.master[0]
        detail.workers = len(processes.serving)
        detail.workers_shutting_down = len(processes.leaving)
        job.output.succeed(f"nginx {detail.nginx.version} runs with {detail.workers} workers")
    return pb.CommandResult(outcome=pb.CommandResult.SUCCEEDED, check_nginx=detail)
