"""What changes by itself on pages about certificates: the rows that are shown, one certificate's page.
May import: Flask, panel.web, panel.services."""

from __future__ import annotations

from collections.abc import Sequence

from flask import render_template, request

from panel.services import certificate_queries, certificates
from panel.web import sse
from panel.web.certificates import page
from panel.web.listing import parse_ids

CELLS = ("name", "status", "days", "hosts", "next")


def regions() -> dict[str, str]:
    """Regions for `/live?topics=certificates&rows=1,2&total=2` (a list) or `&certificate=1` (a certificate's page)."""
    found = _rows(parse_ids(request.args.get("rows", "")))
    for certificate in certificate_queries.by_ids(parse_ids(request.args.get("certificate", ""))[:1]):
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
    for row in page.rows(certificate_queries.by_ids(ids)):
        sse.breathe()
        for cell in CELLS:
            html = render_template(f"certificates/_cell_{cell}.html", row=row)
            found[f"#certificate-{row.id} [data-cell={cell}]"] = html
    return found
