"""Many certificates at once: renew them now, or delete those that no host uses.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.i18n import plural
from panel.models import Certificate, User
from panel.services import bulk_certificates, certificate_queries
from panel.services.bulk import Outcome
from panel.web import bulk
from panel.web.access import actor
from panel.web.bulk import Question
from panel.web.listing import PER_PAGES, numbers

ADDRESS = "/certificates/bulk"


@dataclass(frozen=True)
class Action:
    """Something that can be done to many certificates, after a question. `done` says what happened to so many."""

    act: Callable[[Sequence[int], User], Outcome]
    ask: Callable[[Sequence[str]], Question]
    done: Callable[[str], str]


def change() -> BaseResponse:
    """Asks first, then does it; works the same without scripts, with a page in place of the dialog."""
    action, back = ACTIONS.get(request.form.get("action", "")), bulk.back_to("/certificates")
    ids = numbers(request.form.getlist("certificate"), PER_PAGES[-1])
    if action is None or not ids:
        return bulk.refuse_empty(_("certificates"), back)
    question = action.ask([_name(one) for one in certificate_queries.by_ids(ids)])
    hidden = [("action", request.form["action"]), *(("certificate", str(one)) for one in ids)]
    problem = bulk.find_problem(question) if bulk.is_confirmed() else ""
    if not bulk.is_confirmed() or problem:
        return bulk.ask(question, ADDRESS, hidden, back, problem)
    try:
        with transaction():
            outcome = action.act(ids, actor())
    except Conflict as refusal:
        return bulk.ask(question, ADDRESS, hidden, back, refusal.message)
    return bulk.tell(outcome, f"{action.done(plural(len(outcome.changed), 'certificate'))}.", back)


def _name(certificate: Certificate) -> str:
    return _("%(name)s on %(name_2)s", name=certificate.name, name_2=certificate.agent.name)


def _renew_question(names: Sequence[str]) -> Question:
    return Question(
        title=_("Renew %(plural)s now?", plural=plural(len(names), "certificate")),
        sentences=(_("Agents renew by themselves in good time. Each renewal counts towards the authority's limits."),),
        names=names,
        button=_("Renew now"),
        keep=_("Cancel"),
    )


def _delete_question(names: Sequence[str]) -> Question:
    count = plural(len(names), "certificate")
    files = _(
        "Their files are taken from the agents, the keys too. This cannot be undone. No visitor notices: those that"
    )
    return Question(
        title=_("Delete %(count)s?", count=count),
        sentences=(_("%(files)s a host uses stay, and are named.", files=files),),
        names=names,
        button=_("Delete %(count)s", count=count),
        keep=_("Keep certificates"),
        is_bad=True,
        phrase=bulk.count_phrase(len(names), "certificate"),
    )


ACTIONS: Mapping[str, Action] = {
    "renew": Action(
        bulk_certificates.renew, _renew_question, lambda count: _("Renewal of %(count)s asked for", count=count)
    ),
    "delete": Action(
        bulk_certificates.delete_unused, _delete_question, lambda count: _("%(count)s deleted", count=count)
    ),
}
