"""What changes by itself on pages about certificates: the rows that are shown, one certificate's page.
May import: Flask, panel.web, panel.services."""

from __future__ import annotations

from collections.abc import Sequence

from flask import render_template, request

from panel.errors import NotFound
from panel.models import Certificate
from panel.services import certificates
from panel.web import sse
from panel.web.certificates import page
from panel.web.listing import parse_ids

CELLS = ("name", "status", "days", "hosts", "next")


def regions() -> dict[str, str]:
    """Regions for `/live?topics=certificates&rows=1,2&total=2` (a list) or `&certificate=1` (a certificate's page)."""
    found = _rows(parse_ids(request.args.get("rows", "")))
    for certificate in _existing(parse_ids(request.args.get("certificate", ""))[:1]):
        html = render_template("certificates/_certificate.html", **page.certificate_values(certificate))
        found[f"#certificate-page-{certificate.id}"] = html
    if "total" in request.args:
        total = str(certificates.list_page(per_page=1).total)
        found["#certificates-news"] = render_template(
            "certificates/_news.html", has_news=total != request.args["total"]
        )
    return found


def _rows(ids: Sequence[int]) -> dict[str, str]:
    """The cells of each row that may change; rows stay where they are while a person reads."""
    found = {}
    for row in page.rows(_existing(ids)):
        sse.breathe()
        for cell in CELLS:
            html = render_template(f"certificates/_cell_{cell}.html", row=row)
            found[f"#certificate-{row.id}-{cell}"] = html
    return found


def _existing(ids: Sequence[int]) -> list[Certificate]:
    found = []
    for certificate_id in ids:
        try:
            found.append(certificates.get(certificate_id))
        except NotFound:
            continue
    return found
