"""All models in one place, so that migrations see every table.
May import: panel.models."""

from panel.models.acme_authority import AcmeAuthority
from panel.models.agent import Agent, AgentCertificate, AgentStatus, ConfigContent, Revision
from panel.models.certificate import DUE_PART, Certificate, CertificateSource, Challenge, KeyType, UploadedKey
from panel.models.command import BACKGROUND_KINDS, OPEN_STATES, Command, CommandKind, CommandOutput, CommandState
from panel.models.dns_credential import DnsCredential
from panel.models.event import Event
from panel.models.host_tag import HostTag
from panel.models.identity import Identity
from panel.models.invitation import Invitation
from panel.models.notification import Notification, NotificationChannel
from panel.models.proxy_host import DomainName, ProxyHost
from panel.models.recovery_code import RecoveryCode
from panel.models.session import BrowserSession
from panel.models.token import OneTimeToken, TokenPurpose
from panel.models.user import LoginThrottle, Role, User

__all__ = [
    "BACKGROUND_KINDS",
    "DUE_PART",
    "OPEN_STATES",
    "AcmeAuthority",
    "Agent",
    "AgentCertificate",
    "AgentStatus",
    "BrowserSession",
    "Certificate",
    "CertificateSource",
    "Challenge",
    "Command",
    "CommandKind",
    "CommandOutput",
    "CommandState",
    "ConfigContent",
    "DnsCredential",
    "DomainName",
    "Event",
    "HostTag",
    "Identity",
    "Invitation",
    "KeyType",
    "LoginThrottle",
    "Notification",
    "NotificationChannel",
    "OneTimeToken",
    "ProxyHost",
    "RecoveryCode",
    "Revision",
    "Role",
    "TokenPurpose",
    "UploadedKey",
    "User",
]
