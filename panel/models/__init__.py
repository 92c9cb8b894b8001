"""All models in one place, so that migrations see every table.
May import: panel.models."""

from panel.models.agent import Agent, AgentCertificate, AgentStatus, ConfigContent, Revision
from panel.models.command import OPEN_STATES, Command, CommandKind, CommandOutput, CommandState
from panel.models.event import Event
from panel.models.proxy_host import DomainName, ProxyHost
from panel.models.token import OneTimeToken, TokenPurpose
from panel.models.user import LoginThrottle, Role, User

__all__ = [
    "OPEN_STATES",
    "Agent",
    "AgentCertificate",
    "AgentStatus",
    "Command",
    "CommandKind",
    "CommandOutput",
    "CommandState",
    "ConfigContent",
    "DomainName",
    "Event",
    "LoginThrottle",
    "OneTimeToken",
    "ProxyHost",
    "Revision",
    "Role",
    "TokenPurpose",
    "User",
]
