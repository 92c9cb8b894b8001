"""Many hosts at once: what was selected, what is asked before, what is done, and taking it back.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from flask import request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, ngettext, plural
from panel.models import ProxyHost, User
from panel.nginx.grammar import display_name
from panel.services import agents, bulk_certificates, bulk_undo, certificates, tags
from panel.services import bulk as services
from panel.services.bulk import Outcome, Selection
from panel.web import bulk, htmx
from panel.web.access import actor
from panel.web.bulk import Choice, Question
from panel.web.hosts import listing as hosts
from panel.web.hosts.forms import certificate_label
from panel.web.listing import PER_PAGES, ListQuery, numbers

ADDRESS = "/hosts/bulk"
KEEP = lazy_gettext("Keep hosts")


@dataclass(frozen=True)
class Action:
    """Something that can be done to many hosts. `ask` makes its question; `is_plain` ones are asked about only when
    they go beyond the page. `done` says what happened to so many ("3 hosts")."""

    act: Callable[[Selection, User], Outcome]
    ask: Callable[[Sequence[ProxyHost]], Question]
    done: Callable[[str], str]
    is_plain: bool = False
    can_undo: bool = True


def change() -> BaseResponse:
    """Does it, or asks first; works the same without scripts, with a page in place of the dialog."""
    query = hosts.parse(request.form, agents.list_all())
    is_all = request.form.get("everything") == "y"
    ids = () if is_all else tuple(numbers(request.form.getlist("host"), PER_PAGES[-1]))
    action, back = ACTIONS.get(request.form.get("action", "")), bulk.back_to(query.url())
    if action is None or not (ids or is_all):
        return bulk.refuse_empty(_("hosts"), back)
    selection = Selection(ids, hosts.filter_of(query) if is_all else None)
    if action.is_plain and not is_all:
        return _carry_out(action, selection, back)
    question = action.ask(services.find(selection))
    problem = bulk.find_problem(question) if bulk.is_confirmed() else ""
    if not bulk.is_confirmed() or problem:
        return bulk.ask(question, ADDRESS, _hidden(query, ids), back, problem)
    try:
        return _carry_out(action, selection, back)
    except (Invalid, Conflict) as refusal:
        return bulk.ask(question, ADDRESS, _hidden(query, ids), back, refusal.message)


def undo() -> BaseResponse:
    """Takes a bulk change back; the toast's button."""
    first, last = (numbers([request.args.get(name, "")], 1) for name in ("first", "last"))
    if not (first and last):
        return bulk.refuse_empty(_("hosts"), "/hosts")
    with transaction():
        outcome = bulk_undo.undo(first[0], last[0], actor())
    if not (outcome.changed or outcome.left):
        htmx.toast(_("There is nothing to undo here."), kind="warn")
        return htmx.go("/hosts")
    return bulk.tell(
        outcome, _("Undone for %(plural)s.", plural=plural(len(outcome.changed), "host")), bulk.back_to("/hosts")
    )


def _carry_out(action: Action, selection: Selection, back: str) -> BaseResponse:
    with transaction():
        outcome = action.act(selection, actor())
    undo_url = ""
    if action.can_undo and outcome.events is not None:
        first, last = outcome.events
        undo_url = f"{ADDRESS}/undo?{urlencode({'first': first, 'last': last, 'next': back})}"
    live = _(" nginx gets it now.") if outcome.jobs and action.can_undo else ""
    done = f"{action.done(plural(len(outcome.changed), 'host'))}.{live}"
    return bulk.tell(outcome, done, back, undo_url)


def _hidden(query: ListQuery, ids: Sequence[int]) -> list[tuple[str, str]]:
    return [("action", request.form["action"]), *bulk.hidden_fields(query.selecting, "host", ids)]


def _names(found: Sequence[ProxyHost]) -> list[str]:
    return [_name(host) for host in found]


def _name(host: ProxyHost) -> str:
    more = len(host.domain_names) - 1
    return display_name(host.primary_name) + (f", {plural(more, 'alias')}" if more else "")


def _switch_question(button: str, effect: str, *, is_bad: bool = False) -> Callable[[Sequence[ProxyHost]], Question]:
    def ask(found: Sequence[ProxyHost]) -> Question:
        label = str(button) % {"count": plural(len(found), "host")}
        return Question(f"{label}?", (effect,), _names(found), label, KEEP, is_bad=is_bad)

    return ask


def _delete_question(found: Sequence[ProxyHost]) -> Question:
    count, live = plural(len(found), "host"), sum(host.is_live for host in found)
    whose = _("Visitors of these names get") if len(found) > 1 else _("Visitors get")
    sentences = (
        _(
            "%(whose)s the default page as soon as this is applied. %(live_sentence)s",
            whose=whose,
            live_sentence=_live_sentence(live, len(found)),
        ),
        _("Certificates stay. Undo brings everything back."),
    )
    return Question(
        title=_("Delete %(count)s?", count=count),
        sentences=sentences,
        names=_names(found),
        button=_("Delete %(count)s", count=count),
        keep=KEEP,
        is_bad=True,
        phrase=bulk.count_phrase(len(found), "host"),
    )


def _live_sentence(live: int, total: int) -> str:
    if not live:
        return _("None of them is live now.")
    if live == total:
        return _("It is live now.") if total == 1 else _("All of them are live now.")
    return ngettext("%(live)s of them is live now.", "%(live)s of them are live now.", live, live=f"{live:,}")


def _tag_question(found: Sequence[ProxyHost]) -> Question:
    return Question(
        title=_("Add a tag to %(plural)s", plural=plural(len(found), "host")),
        sentences=(_("A tag is a short word, such as production. nginx never sees it."),),
        names=_names(found),
        button=_("Add tag"),
        keep=_("Cancel"),
        field="tag",
        label=_("Tag"),
        known=tuple(tags.all_names()),
    )


def _untag_question(found: Sequence[ProxyHost]) -> Question:
    counts: dict[str, int] = {}
    for name in (name for host in found for name in host.tags):
        counts[name] = counts.get(name, 0) + 1
    choices = tuple(Choice(name, f"{name} ({plural(count, 'host')})") for name, count in sorted(counts.items()))
    question = Question(
        title=_("Remove a tag from %(plural)s", plural=plural(len(found), "host")),
        sentences=() if choices else (_("None of these hosts has a tag."),),
        names=_names(found),
        button=_("Remove tag"),
        keep=_("Cancel"),
        field="tag",
        label=_("Tag"),
    )
    return _with(choices, question)


def _assign_question(found: Sequence[ProxyHost]) -> Question:
    offered = bulk_certificates.offered(found)
    choices = tuple(
        Choice(
            str(one.id),
            _(
                "%(certificate_label)s: for %(count)s of %(len)s",
                certificate_label=certificate_label(one),
                count=f"{count:,}",
                len=f"{len(found):,}",
            ),
        )
        for one, count in offered
    )
    sentence = _("Hosts that the certificate is not for stay as they are, and are named.")
    nothing = _("No certificate is for any of these hosts. Request one for them, or upload one.")
    question = Question(
        title=_("Assign a certificate to %(plural)s", plural=plural(len(found), "host")),
        sentences=(sentence if choices else nothing,),
        names=_names(found),
        button=_("Assign certificate"),
        keep=_("Cancel"),
        field="certificate",
        label=_("Certificate"),
    )
    return _with(choices, question)


def _with(choices: tuple[Choice, ...], question: Question) -> Question:
    """Where there is nothing to choose, nothing can be done."""
    return replace(question, choices=choices, can_go_on=bool(choices))


def _request_question(found: Sequence[ProxyHost]) -> Question:
    most = bulk_certificates.MOST
    is_fine = len(found) <= most
    sentence = _(
        "Each host gets a certificate for its names, and a job of its own. Those that have one stay as they are."
    )
    too_many = _(
        "Authorities count orders, so certificates are requested for at most %(most)s hosts at a time.", most=most
    )
    return Question(
        title=_("Request certificates for %(plural)s?", plural=plural(len(found), "host")),
        sentences=(sentence if is_fine else too_many,),
        names=_names(found),
        button=_("Request certificates"),
        keep=_("Cancel"),
        can_go_on=is_fine,
    )


def _assign(selection: Selection, who: User) -> Outcome:
    chosen = numbers([request.form.get("certificate", "")], 1)
    if not chosen:
        raise Invalid("certificate", _("Choose a certificate."))
    return bulk_certificates.assign(selection, certificates.get(chosen[0]), who)


def _word() -> str:
    return request.form.get("tag", "")


ACTIONS: Mapping[str, Action] = {
    "enable": Action(
        lambda selection, who: services.set_enabled(selection, True, who),
        _switch_question(
            lazy_gettext("Enable %(count)s"), lazy_gettext("nginx serves them as soon as this is applied.")
        ),
        lambda count: _("%(count)s enabled", count=count),
        is_plain=True,
    ),
    "disable": Action(
        lambda selection, who: services.set_enabled(selection, False, who),
        _switch_question(
            lazy_gettext("Disable %(count)s"),
            lazy_gettext("Visitors get the default page as soon as this is applied. Nothing is lost."),
            is_bad=True,
        ),
        lambda count: _("%(count)s disabled", count=count),
        is_plain=True,
    ),
    "tag": Action(
        lambda selection, who: services.add_tag(selection, _word(), who),
        _tag_question,
        lambda count: _("Tag %(parse_tag)s added to %(count)s", parse_tag=services.parse_tag(_word()), count=count),
    ),
    "untag": Action(
        lambda selection, who: services.remove_tag(selection, _word(), who),
        _untag_question,
        lambda count: _("Tag %(parse_tag)s removed from %(count)s", parse_tag=services.parse_tag(_word()), count=count),
    ),
    "assign": Action(_assign, _assign_question, lambda count: _("Certificate assigned to %(count)s", count=count)),
    "request": Action(
        bulk_certificates.request,
        _request_question,
        lambda count: _("Certificates requested for %(count)s", count=count),
        can_undo=False,
    ),
    "delete": Action(services.delete, _delete_question, lambda count: _("%(count)s deleted", count=count)),
}
