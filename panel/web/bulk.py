"""Changes of many rows: the question before one, and the answer that names what was left as it was.
May import: Flask, panel.services.bulk, panel.web.{access,filters,htmx,listing}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from flask import make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.i18n import COUNTED, ngettext
from panel.i18n import gettext as _
from panel.services.bulk import Left, Outcome
from panel.web import htmx
from panel.web.access import local_path

NAMES_SHOWN = 50  # in a question
MANY = 3  # rows from which on a deletion wants a phrase


@dataclass(frozen=True)
class Choice:
    """One value of the question's list."""

    value: str
    label: str


@dataclass(frozen=True)
class Question:
    """What is asked before many rows are changed. `keep` is the safe button, `button` the other; `phrase` is to be
    typed. `field` names what else is asked for: a word, or one of `choices` when there are any."""

    title: str
    sentences: tuple[str, ...]
    names: Sequence[str]
    button: str
    keep: str
    is_bad: bool = False
    phrase: str = ""
    field: str = ""
    label: str = ""
    choices: tuple[Choice, ...] = ()
    known: tuple[str, ...] = ()
    can_go_on: bool = True


@dataclass(frozen=True)
class Reason:
    """Why some were left as they were."""

    sentence: str
    names: tuple[str, ...]


def is_confirmed() -> bool:
    """Whether the question was asked already."""
    return request.form.get("confirmed") == "y"


def back_to(otherwise: str) -> str:
    """The list that the person came from."""
    return local_path(request.values.get("next", "")) or otherwise


def ask(
    question: Question, action: str, hidden: Sequence[tuple[str, str]], back: str, problem: str = ""
) -> BaseResponse:
    """The question: in the list's dialog, or as a page of its own. 422 when the answer to it was refused."""
    fields = [*hidden, ("next", back), ("confirmed", "y"), ("count", str(len(question.names)))]
    shown, more = question.names[:NAMES_SHOWN], max(0, len(question.names) - NAMES_SHOWN)
    values = {"question": question, "action": action, "fields": fields, "back": back, "problem": problem}
    status = 422 if problem else 200
    return htmx.render("bulk/question.html", "bulk/_question.html", status, shown=shown, more=more, **values)


def find_problem(question: Question) -> str:
    """Why a confirmed question is asked again; "" when it may be done."""
    count = request.form.get("count", "")
    if count != str(len(question.names)):
        return _(
            "There are %(len)s of them now, others than when you were asked. Look again.",
            len=f"{len(question.names):,}",
        )
    if question.phrase and request.form.get("phrase", "").strip().lower() != question.phrase:
        return _("Type “%(phrase)s” to confirm.", phrase=question.phrase)
    return ""


def tell(outcome: Outcome, done: str, back: str, undo_url: str = "", kind: str = "ok") -> BaseResponse:
    """What came of it: a toast when nobody was left out, else an answer that names everybody who was.

    `done` is the whole sentence about those that changed.
    """
    if not outcome.left:
        htmx.toast(done, undo_url=undo_url, kind=kind)
        return htmx.go(back)
    fragment = "bulk/_outcome.html" if htmx.is_htmx() else "bulk/outcome.html"
    values = {"outcome": outcome, "reasons": reasons(outcome.left), "done": done if outcome.changed else ""}
    return make_response(render_template(fragment, back=back, undo_url=undo_url, **values))


def refuse_empty(what: str, back: str) -> BaseResponse:
    """Nothing is selected, or the action is none of ours."""
    htmx.toast(_("Select %(what)s first, then what is to happen to them.", what=what), kind="warn")
    return htmx.go(back)


def reasons(left: Sequence[Left]) -> list[Reason]:
    """Those that were left, grouped by why."""
    ordered = sorted(left, key=lambda one: one.reason)
    groups = groupby(ordered, key=lambda one: one.reason)
    return [Reason(sentence, tuple(one.name for one in ones)) for sentence, ones in groups]


def count_phrase(count: int, noun: str) -> str:
    """What is typed before so many are deleted; "" for a few. Small letters, as everything typed is made before it is
    compared, and no sign between thousands."""
    words = _("Delete %(count)s", count=ngettext(*COUNTED[noun], count, count=count))
    return words.lower() if count >= MANY else ""


def hidden_fields(selecting: Mapping[str, str], name: str, ids: Sequence[int]) -> list[tuple[str, str]]:
    """The selection as a form carries it on: the list's own filters, or the rows."""
    return [("everything", "y"), *selecting.items()] if not ids else [(name, str(row_id)) for row_id in ids]
