"""What changes by itself on pages about hosts: the rows that are shown, one host's page, the dock.
May import: Flask, panel.web, panel.services."""

from __future__ import annotations

from flask import render_template, request

from panel.i18n import gettext as _
from panel.services import agents, history, host_queries, proxy_hosts
from panel.web import sse
from panel.web.hosts import page
from panel.web.listing import parse_ids


def regions() -> dict[str, str]:
    """Regions for `/live?topics=hosts&rows=1,2&total=2` (a list) or `&host=1` (a host's page), and the dock; for
    `&editing=1&version=3` (an open form) whether somebody else saved the host."""
    if "editing" in request.args:
        return _saved_meanwhile(parse_ids(request.args["editing"])[:1], request.args.get("version", ""))
    found = {"#dock": render_template("changes/_dock.html", topics="hosts")}
    found |= _rows(parse_ids(request.args.get("rows", "")))
    for host in host_queries.by_ids(parse_ids(request.args.get("host", ""))[:1]):
        found[f"#host-page-{host.id}"] = render_template("hosts/_host.html", **page.host_values(host))
    if "total" in request.args:
        found["#hosts-news"] = render_template("hosts/_news.html", news=_news(request.args["total"]))
    return found


def _saved_meanwhile(ids: list[int], version: str) -> dict[str, str]:
    host = next(iter(host_queries.by_ids(ids)), None)
    is_other = host is not None and str(host.version) != version
    change = history.last_changes("proxy_host", ids).get(str(host.id)) if host is not None and is_other else None
    values = {"host": host, "is_other": is_other, "person": (change.person if change else "") or _("The panel")}
    return {"#meanwhile": render_template("hosts/_saved_meanwhile.html", **values)}


def _rows(ids: list[int]) -> dict[str, str]:
    """The cells of each row that may change; rows stay where they are while a person reads."""
    statuses = page.agent_statuses(agents.list_all())
    found = {}
    for row in page.rows(host_queries.by_ids(ids), statuses):
        sse.breathe()
        for cell in ("name", "upstream", "status", "tls", "changed"):
            found[f"#host-{row.id} [data-cell={cell}]"] = render_template(f"hosts/_cell_{cell}.html", row=row)
    return found


def _news(total: str) -> str:
    """What has come since the page was made, in words; "" for nothing."""
    now = proxy_hosts.count()
    if str(now) == total:
        return ""
    added = now - sum(parse_ids(total))
    return _("%(added)s new, refresh", added=added) if added > 0 else _("The list has changed, refresh")
