"""Saved but not live: the review of all changes, and applying them.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.services import deployments
from panel.web import htmx, listing
from panel.web.access import actor
from panel.web.changes import view
from panel.web.live import registry

bp = Blueprint("changes", __name__)
bp.add_app_template_global(view.dock, "changes_dock")


@bp.get("/changes")
def index() -> str:
    """Each change that is saved and not live, with its difference; a page of them."""
    return render_template("changes/index.html", review=_review())


def _review() -> view.Review:
    return view.review(listing.number(request.args.get("page", "1")))


@bp.post("/changes/apply")
def apply() -> BaseResponse:
    """Applies everything that is saved, on every agent that has something to apply."""
    with transaction():
        job_ids = [command.id for command in deployments.apply_all(actor())]
    if not job_ids:
        htmx.toast(_("Nothing to apply: everything that is saved is live."))
        return htmx.go("/hosts")
    return htmx.go(f"/jobs/{job_ids[0]}" if len(job_ids) == 1 else "/jobs")


def _regions() -> dict[str, str]:
    """Regions for `/live?topics=changes&page=1`: what is not live, and the button that applies it."""
    review = _review()
    return {
        "#change-list": render_template("changes/_list.html", review=review),
        "#change-actions": render_template("changes/_actions.html", review=review),
    }


registry.register("changes", _regions, news=("hosts", "agents", "jobs"))
