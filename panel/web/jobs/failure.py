"""Why a job failed: what happened, who is affected, what to do next.
May import: panel.models, panel.web.jobs."""

from __future__ import annotations

import re
from collections.abc import Callable

from panel.i18n import gettext as _
from panel.models import CommandKind, CommandState
from panel.web.jobs import certificate_failure, docker, words
from panel.web.jobs.cards import Evidence, Failure, NextStep, Refusal

_HOST_PATH = re.compile(r"hosts/(\d+)-(.+)\.conf")


def explain(evidence: Evidence) -> Failure | None:
    """The card of a job that ended badly; None for one that is open, succeeded or was cancelled."""
    command = evidence.command
    if command.is_open or command.has_succeeded or command.state == CommandState.CANCELLED:
        return None
    for applies, card in _CARDS:
        if applies(evidence):
            return card(evidence)
    return _other(evidence)


def _refused(evidence: Evidence) -> Failure:
    errors = evidence.command.result["file_errors"]
    by_path = {_path_id(error["path"]): error for error in errors}
    fields = {host.id: host.refused_field for host in evidence.hosts}
    refusals = tuple(_refusal(error, fields) for error in errors)
    is_apply = evidence.command.kind == CommandKind.APPLY_CONFIG
    if None in by_path:
        who = _("Nothing was changed: nginx keeps serving what it served before.")
        look = NextStep(_("Read the output below: the refused file belongs to no host."))
        return Failure(_("nginx refused a file of the panel"), _refusal_sentence(len(errors)), who, (look,), refusals)
    who = (
        _("Only what is listed here. Versions that worked before keep serving, and all other changes were sent again.")
        if is_apply
        else _("Nobody: a test touches nothing that is live.")
    )
    steps = tuple(
        NextStep(_("Correct %(name)s", name=refusal.name), refusal.url) for refusal in refusals if refusal.url
    )
    return Failure(_("nginx refused a host"), _refusal_sentence(len(errors)), who, steps, refusals)


def _refusal_sentence(count: int) -> str:
    return (
        _("nginx tested the files and refused one.")
        if count == 1
        else _("nginx tested the files and refused %(count)s.", count=count)
    )


def _refusal(error: dict[str, str | int], fields: dict[int, str]) -> Refusal:
    path, line = str(error["path"]), int(error.get("line") or 0)
    place = _("%(path)s, line %(line)s", path=path, line=line) if line else path
    host_id = _path_id(path)
    match = _HOST_PATH.fullmatch(path)
    if host_id is None or match is None:
        return Refusal(path, place, str(error["text"]))
    field = fields.get(host_id, "")
    url = f"/hosts/{host_id}/edit" + (f"#{field}" if field else "") if host_id else ""
    return Refusal(match[2].replace("wildcard.", "*."), place, str(error["text"]), url)


def _path_id(path: str) -> int | None:
    """The host of a file; 0 for a draft that has no number yet; None for files of no host."""
    match = _HOST_PATH.fullmatch(path)
    return int(match[1]) if match else None


def _degraded(evidence: Evidence) -> Failure:
    return Failure(
        _("The old configuration could not be put back"),
        evidence.error,
        _("All hosts of %(name)s may be affected.", name=evidence.command.agent.name),
        (
            NextStep(_("Look at nginx on that machine now: is it running, and what does its error log say?")),
            NextStep(_("Then apply again from the agent's page"), evidence.agent_url),
        ),
    )


def _not_running(evidence: Evidence) -> Failure:
    return Failure(
        _("nginx is not running"),
        evidence.error,
        _("All hosts of %(name)s are down until nginx is started.", name=evidence.command.agent.name),
        (
            NextStep(_("Start nginx on that machine. Its files are in place and the last good ones.")),
            NextStep(_("Then press Retry. The agent's page shows when nginx is back"), evidence.agent_url),
        ),
    )


def _port_in_use(evidence: Evidence) -> Failure:
    return Failure(
        _("A port is used by another program"),
        evidence.last_error or evidence.error,
        _unharmed(evidence),
        (
            NextStep(_("Find the program that holds the port on that machine (ss -ltnp) and stop it,")),
            NextStep(_("or give the agent another port (AGENT_HTTP_PORT) and restart it. Then press Retry.")),
        ),
    )


def _expired(evidence: Evidence) -> Failure:
    return Failure(
        _("The agent did not take the job in time"),
        evidence.error or _("%(name)s was not reachable while the job waited.", name=evidence.command.agent.name),
        _("Nobody: nothing was sent. What nginx serves has not changed."),
        (NextStep(_("See whether the agent is online"), evidence.agent_url), NextStep(_("Then press Retry."))),
    )


def _unsupported(evidence: Evidence) -> Failure:
    return Failure(
        _("The agent does not know this job"),
        evidence.error or _("%(name)s runs an older version than the panel.", name=evidence.command.agent.name),
        _("Nobody: nothing was done."),
        (NextStep(_("Update the agent on that machine, then press Retry"), evidence.agent_url),),
    )


def _unknown_outcome(evidence: Evidence) -> Failure:
    return Failure(
        _("Nobody knows how it ended"),
        evidence.error or _("The agent stopped in the middle of the job and could not say how it ended."),
        certificate_failure.UNKNOWN
        if evidence.is_about_certificate
        else _("nginx serves either the configuration before this job or the one after it, never half of one."),
        (
            NextStep(_("Open the agent: it reports what nginx serves as soon as it is back"), evidence.agent_url),
            NextStep(_("Press Retry when you are unsure. Doing it twice is safe.")),
        ),
    )


def _too_slow(evidence: Evidence) -> Failure:
    return Failure(
        _("It took too long"),
        evidence.error
        or _("No result came within %(run_timeout)s seconds.", run_timeout=f"{evidence.command.run_timeout:.0f}"),
        _("The agent may still report the result; then this page shows it."),
        (NextStep(_("See whether the agent is online"), evidence.agent_url), NextStep(_("Then press Retry."))),
    )


def _other(evidence: Evidence) -> Failure:
    label = words.stage_label(evidence.command, evidence.stage)
    return Failure(
        _("It failed at: %(label)s", label=label) if label else _("It failed"),
        evidence.error or evidence.last_error or _("The agent gave no reason."),
        _unharmed(evidence),
        (NextStep(_("Read the agent's own words in the output.")), NextStep(_("Press Retry when the cause is gone."))),
    )


def _unharmed(evidence: Evidence) -> str:
    if evidence.is_about_certificate:
        return certificate_failure.affected(evidence)
    if evidence.command.result.get("rolled_back"):
        return _("Nobody: the configuration that worked before was put back and proved.")
    if evidence.command.kind in {CommandKind.TEST_CONFIG, CommandKind.CHECK_NGINX}:
        return _("Nobody: nothing that is live was touched.")
    return _("Nobody new: nginx keeps serving what it served before.")


def _mentions(*needles: str) -> Callable[[Evidence], bool]:
    return lambda evidence: any(needle in evidence.text for needle in needles)


def _has_reason(*reasons: str) -> Callable[[Evidence], bool]:
    return lambda evidence: evidence.command.reason in reasons


# The first that applies is shown: the more certain before the more general.
_CARDS: tuple[tuple[Callable[[Evidence], bool], Callable[[Evidence], Failure]], ...] = (
    (lambda evidence: bool(evidence.command.result.get("degraded")), _degraded),
    (lambda evidence: bool(evidence.command.result.get("file_errors")), _refused),
    (lambda evidence: bool(evidence.command.result.get("needs_confirmation")), certificate_failure.needs_a_yes),
    (lambda evidence: bool(evidence.command.result.get("failure")), certificate_failure.card),
    (lambda evidence: evidence.command.state == CommandState.EXPIRED, _expired),
    (_has_reason("UNSUPPORTED"), _unsupported),
    (_has_reason("TIMEOUT"), _too_slow),
    (lambda evidence: not evidence.command.outcome_known, _unknown_outcome),
    (_has_reason("INTERRUPTED", "LOST"), _unknown_outcome),
    (lambda evidence: CommandKind(evidence.command.kind).is_about_docker, docker.card),
    (_mentions("address already in use", "bind() to"), _port_in_use),
    (_mentions("not running", "is stopped", "no master"), _not_running),
)
