"""The check before an order: what would stop it, said before the authority is asked. Imported late, for dnspython.
May import: agent.acme, agent.dns and below."""

from agent.acme.check.run import check
from agent.acme.check.surroundings import NameServers, Surroundings

__all__ = ["NameServers", "Surroundings", "check"]
