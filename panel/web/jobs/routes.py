"""The pages of jobs: the list, one job, its stream and its output as a file.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeVar

from flask import Blueprint, Response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import Command, CommandKind, CommandOutput
from panel.services import agents, certificates, commands, deployments, jobs
from panel.services.jobs import JobResult
from panel.web import htmx, listing, sse
from panel.web.access import actor
from panel.web.jobs import stream, words
from panel.web.jobs.view import elapsed, view
from panel.web.shown import Client

bp = Blueprint("jobs", __name__)

Choice = TypeVar("Choice", bound=StrEnum)

SHOWN_LINES = 2000  # the page; the file has them all


@bp.get("/jobs")
def index() -> Response:
    """All jobs, newest first; filters and page are in the URL."""
    kind, result = _choice(CommandKind, "kind"), _choice(JobResult, "state")
    agent_id = request.args.get("agent", "")
    number, per_page = listing.number(request.args.get("page", "1")), listing.per_page(request.args.get("per", ""))
    page = jobs.list_page(kind=kind, result=result, agent_id=agent_id, page=number, per_page=per_page)
    values: dict[str, Any] = {"kind": kind, "state_filter": result, "agent_id": agent_id, "agents": agents.list_all()}
    kept: dict[str, Any] = {
        name: value for name, value in request.args.items() if name in {"kind", "state", "agent"} and value
    }
    values |= {"per": None if per_page == listing.PER_PAGE else per_page}
    values |= {"sizes": listing.choices_of_size(lambda size: url_for("jobs.index", **kept, per=size), per_page)}
    return htmx.render("jobs/index.html", "jobs/_list.html", page=page, words=words, elapsed=elapsed, **values)


@bp.get("/jobs/<command_id>")
def show(command_id: str) -> str:
    """One job: the truth as it is stored now, and more as it comes."""
    job = view(commands.get(command_id))
    lines = jobs.tail(command_id, SHOWN_LINES)
    return render_template("jobs/show.html", job=job, lines=lines, cursor=lines[-1].seq if lines else 0)


@bp.get("/jobs/<command_id>/stream")
def follow(command_id: str) -> Response:
    """Server-sent events: lines as they come, steps and status beside them. `seen` is what the page shows of these."""
    commands.get(command_id)
    last = request.headers.get("Last-Event-ID")
    after = sse.last_event_id(last or request.args.get("after"))
    client = Client("" if last else request.args.get("seen", ""))
    connection = sse.Connection()
    return sse.stream(connection, stream.follow(connection, command_id, after, client))


@bp.get("/jobs/<command_id>/output.txt")
def output(command_id: str) -> Response:
    """The whole output as a file."""
    command = commands.get(command_id)
    response = Response("".join(_text_lines(commands.outputs(command_id))), mimetype="text/plain")
    response.headers["Content-Disposition"] = f'attachment; filename="{command.kind}-{command.id[:8]}.txt"'
    return response


@bp.post("/jobs/<command_id>/retry")
def retry(command_id: str) -> BaseResponse:
    """A new job like this one; its page comes next."""
    with transaction():
        url = url_for("jobs.show", command_id=_again(commands.get(command_id)).id)
    return htmx.go(url)


@bp.post("/jobs/<command_id>/try-on-staging")
def try_on_staging(command_id: str) -> BaseResponse:
    """The same order as a rehearsal: from the authority's staging, installed nowhere."""
    return _order_again(command_id, staging=True)


@bp.post("/jobs/<command_id>/request")
def request_for_real(command_id: str) -> BaseResponse:
    """What was rehearsed, now for real."""
    return _order_again(command_id, staging=False)


@bp.post("/jobs/<command_id>/cancel")
def cancel(command_id: str) -> BaseResponse:
    """Takes the job back, or asks the agent to stop."""
    with transaction():
        command = commands.cancel(commands.get(command_id), actor())
        is_over = not command.is_open
    htmx.toast(_("Job cancelled.") if is_over else _("The agent was asked to stop."))
    return htmx.go(url_for("jobs.show", command_id=command_id))


def _again(command: Command) -> Command:
    """An apply brings what is saved now and tries refused hosts again; other jobs are repeated as they were."""
    kind = CommandKind(command.kind)
    if kind == CommandKind.APPLY_CONFIG and not command.is_open:
        return deployments.apply(command.agent, actor(), at_once=True)
    if kind.is_about_certificate:
        return certificates.retry(command, actor(), accept_warnings=request.form.get("accept_warnings") == "y")
    return commands.retry(command, actor())


def _order_again(command_id: str, *, staging: bool) -> BaseResponse:
    with transaction():
        url = url_for("jobs.show", command_id=certificates.retry(commands.get(command_id), actor(), staging=staging).id)
    return htmx.go(url)


def _choice(choices: type[Choice], name: str) -> Choice | None:
    """The filter's value, or None for anything that is not one."""
    value = request.args.get(name, "")
    return next((choice for choice in choices if choice == value), None)


def _text_lines(lines: list[CommandOutput]) -> Iterator[str]:
    for line in lines:
        yield f"{line.at:%Y-%m-%d %H:%M:%S} {line.stage or '-':8} {line.level:7} {line.text}\n"
