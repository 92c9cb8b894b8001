"""What a certificate is called on the agent's disk: certbot's rule, so that both programs find each other's.
May import: panel.models, panel.extensions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import select

from panel.extensions import db
from panel.models import Certificate

MAX_LENGTH = 190  # leaves room for "-0001"

_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


def is_valid(name: str) -> bool:
    """Whether a folder of an agent may have this name: letters, digits, ._- and no way out of its parent."""
    return _NAME.match(name) is not None and ".." not in name


def choose(agent_id: str, names: Sequence[str]) -> str:
    """The first name without "*."; with -0001, -0002 … when another certificate of the agent has it."""
    plain = _OTHER.sub("-", names[0].removeprefix("*.")).strip("-.")[:MAX_LENGTH].rstrip("-.") or "certificate"
    query = select(Certificate.name).where(
        Certificate.agent_id == agent_id, Certificate.name.istartswith(plain, autoescape=True)
    )
    # Some file systems do not tell upper case from lower.
    taken = {name.lower() for name in db.session.scalars(query)}
    candidate, number = plain, 0
    while candidate.lower() in taken:
        number += 1
        candidate = f"{plain}-{number:04d}"
    return candidate
