"""The check before an order: what would stop it, said before the authority is asked. Imported late, for dnspython.
May import: agent.acme, agent.dns and below."""

from agent.acme.check.run import check
from agent.acme.check.surroundings import NameServers, Surroundings
from agent.acme.check.whereabouts import World, look_up

__all__ = ["NameServers", "Surroundings", "World", "check", "look_up"]
