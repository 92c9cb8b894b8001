"""What the page of a job about Docker shows beside its steps: its network or upstream, and why it failed.
May import: panel.models, panel.web.jobs.cards."""

from __future__ import annotations

from panel.i18n import gettext as _
from panel.models import Command, CommandKind
from panel.web.jobs.cards import Evidence, Fact, Failure, NextStep


def facts(command: Command) -> list[Fact]:
    """The request and what came of it, in a few lines."""
    if command.kind == CommandKind.CHECK_UPSTREAM:
        return _upstream_facts(command)
    name = command.payload.get("network")
    if not name:
        return []
    found = command.result.get("network") or {}
    lines = [Fact(_("Network"), str(name), "/networks", is_code=True)]
    if found.get("subnets"):
        lines.append(Fact(_("Subnet"), ", ".join(found["subnets"]), is_code=True))
    if found:
        lines.append(Fact("nginx", _("attached") if found["attached"] else _("not attached")))
    return lines


def _upstream_facts(command: Command) -> list[Fact]:
    asked = command.payload
    host = f"[{asked['host']}]" if ":" in asked["host"] else asked["host"]
    lines = [Fact(_("Upstream"), f"{asked['scheme']}://{host}:{asked['port']}", is_code=True)]
    state = command.result.get("state")
    if not state:
        return lines
    lines.append(Fact(_("Found"), state["sentence"] or (_("reachable") if state["ok"] else _("not reachable"))))
    if state["next_step"]:
        lines.append(Fact(_("What to do"), state["next_step"]))
    return lines


def card(evidence: Evidence) -> Failure:
    """A failed job about Docker: nginx and its hosts go on as before."""
    command = evidence.command
    is_change = command.kind in {CommandKind.ATTACH_NETWORK, CommandKind.DETACH_NETWORK}
    return Failure(
        _("Docker refused it") if is_change else _("The question was not answered"),
        evidence.error or evidence.last_error or _("The agent gave no reason."),
        _("Nobody new: nginx is in the networks it was in before.") if is_change else _("Nobody: nothing was changed."),
        (
            NextStep(_("See how Docker is on the agent's page"), evidence.agent_url),
            NextStep(_("Press Retry when the cause is gone. Doing it twice is safe.")),
        ),
    )
