"""What an agent is due to be sent: claimed in one transaction, rendered, and ready for the wire.
May import: protos, panel.rpc.orders, panel.services, panel.vault, panel.models."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from panel.errors import PanelError
from panel.extensions import db, transaction
from panel.models import Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.rpc import orders
from panel.services import bundles, deployments, outcomes, transitions, upstreams
from panel.services.transitions import Agenda, CommandOutcome
from panel.vault import VaultError
from protos import command_stream_pb2 as pb

log = logging.getLogger(__name__)

MAX_CLAIMS = 32  # in one transaction


@dataclass(frozen=True)
class Claim:
    """A command that is now `sent`; without a message when it could not be prepared and has failed instead."""

    command_id: str
    message: pb.PanelMessage | None
    needs_ack: bool


def claim(agent_id: str, epoch: int, most: int) -> list[Claim]:
    """Claims up to `most` of the agent's next commands and prepares their messages, in order."""
    with transaction():
        claims: list[Claim] = []
        while len(claims) < most and (row := transitions.claim_next(agent_id, epoch, utcnow())) is not None:
            message = _prepare(row)
            needs_ack = message is not None and not CommandKind(row.kind).is_question
            claims.append(Claim(row.id, message, needs_ack))
        return claims


def read_agenda(agent_id: str) -> Agenda:
    """What there is to send. The connection is given back: sending may wait."""
    agenda = transitions.read_agenda(agent_id)
    db.session.rollback()
    return agenda


def cancellations(agenda: Agenda, known: set[str]) -> list[pb.PanelMessage]:
    """Requests to stop that this session has not passed on; `known` remembers them."""
    fresh = [command_id for command_id in agenda.cancelled if command_id not in known]
    known.update(fresh)
    return [pb.PanelMessage(cancel_command=pb.CancelCommand(command_id=command_id)) for command_id in fresh]


def seconds_until_due(agent_id: str) -> float:
    """How long until the next queued command that waits for its time may go; infinite when none waits."""
    now = utcnow()
    due_at = transitions.next_due_at(agent_id, now)
    return float("inf") if due_at is None else max(0.0, (due_at - now).total_seconds())


def _prepare(row: Command) -> pb.PanelMessage | None:
    """The message; on any fault of ours the command fails, so that it does not stand in the way of the next."""
    try:
        if not CommandKind(row.kind).has_bundle:
            return orders.command(row)
        with db.session.begin_nested():
            if row.kind != CommandKind.APPLY_CONFIG:
                return orders.command(row, _files(row))
            deployments.freeze(row)
            files = _files(row)
            return orders.command(row, files, upstreams.of_files(row.agent, files.manifest))
    except OperationalError:
        raise  # of the database and not of this command: it stays queued
    except (PanelError, VaultError) as error:
        outcomes.record(row, CommandOutcome(CommandState.FAILED, "FAILED", str(error)), utcnow())
        return None
    except Exception:  # the boundary of a command
        log.exception("command %s could not be prepared", row.id)
        sentence = "The panel could not prepare this job; its log says why. Nothing was sent."
        outcomes.record(row, CommandOutcome(CommandState.FAILED, "INTERNAL", sentence), utcnow())
        return None


def _files(row: Command) -> orders.Files:
    """What the command brings. The agent has the contents of the revision that was proved last."""
    manifest = bundles.manifest_for(row)
    held = set((bundles.manifest_of(row.agent, row.agent.applied_revision) or {}).values())
    sizes = bundles.sizes(manifest.values())
    return orders.Files(manifest, sizes, bundles.contents(set(manifest.values()) - held))
