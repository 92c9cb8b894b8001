"""What the page of a job about Docker shows beside its steps: its network or upstream, and why it failed.
May import: panel.models, panel.web.jobs.cards."""

from __future__ import annotations

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
    lines = [Fact("Network", str(name), "/networks", is_code=True)]
    if found.get("subnets"):
        lines.append(Fact("Subnet", ", ".join(found["subnets"]), is_code=True))
    if found:
        lines.append(Fact("nginx", "attached" if found["attached"] else "not attached"))
    return lines


def _upstream_facts(command: Command) -> list[Fact]:
    asked = command.payload
    host = f"[{asked['host']}]" if ":" in asked["host"] else asked["host"]
    lines = [Fact("Upstream", f"{asked['scheme']}://{host}:{asked['port']}", is_code=True)]
    state = command.result.get("state")
    if not state:
        return lines
    lines.append(Fact("Found", state["sentence"] or ("reachable" if state["ok"] else "not reachable")))
    if state["next_step"]:
        lines.append(Fact("What to do", state["next_step"]))
    return lines


def card(evidence: Evidence) -> Failure:
    """A failed job about Docker: nginx and its hosts go on as before."""
    command = evidence.command
    is_change = command.kind in {CommandKind.ATTACH_NETWORK, CommandKind.DETACH_NETWORK}
    return Failure(
        "Docker refused it" if is_change else "The question was not answered",
        command.error or evidence.last_error or "The agent gave no reason.",
        "Nobody new: nginx is in the networks it was in before." if is_change else "Nobody: nothing was changed.",
        (
            NextStep("See how Docker is on the agent's page", evidence.agent_url),
            NextStep("Press Retry when the cause is gone. Doing it twice is safe."),
        ),
    )
