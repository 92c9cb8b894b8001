"""The authorities that come with Waypost, and the one that the environment names: made and updated at each start.
May import: panel.services.{authorities,events}, panel.models, panel.config, panel.extensions."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import select

from panel.config import Config
from panel.extensions import db
from panel.models import AcmeAuthority, Certificate, Event
from panel.services import authorities

TEST_AUTHORITY = "Test authority"
LETS_ENCRYPT = "Let's Encrypt"
LETS_ENCRYPT_STAGING = "Let's Encrypt staging"
_LETS_ENCRYPT_STAGING_URL = "https://acme-staging-v02.api.letsencrypt.org/directory"


@dataclass(frozen=True)
class BuiltinAuthority:
    """What is known of an authority before anybody set it up."""

    name: str
    directory_url: str
    staging_directory_url: str = ""
    needs_eab: bool = False
    is_test: bool = False


# Those that give certificates to everybody without a fee, in November 2026.
BUILTIN = (
    BuiltinAuthority(LETS_ENCRYPT, "https://acme-v02.api.letsencrypt.org/directory", _LETS_ENCRYPT_STAGING_URL),
    BuiltinAuthority(LETS_ENCRYPT_STAGING, _LETS_ENCRYPT_STAGING_URL, is_test=True),
    BuiltinAuthority("ZeroSSL", "https://acme.zerossl.com/v2/DV90", needs_eab=True),
    BuiltinAuthority("Google Trust Services", "https://dv.acme-v02.api.pki.goog/directory", needs_eab=True),
)


def ensure(config: Config) -> None:
    """Makes what is missing, follows the settings, and sees that there is a default.

    PANEL_ACME_DIRECTORY and LETSENCRYPT_STAGING decide the default while they are set.
    """
    for builtin in BUILTIN:
        _ensure_builtin(builtin)
    _ensure_test_authority(config)
    _choose_default(config)


def _ensure_builtin(builtin: BuiltinAuthority) -> None:
    authority = _find(builtin.name)
    if authority is None:
        db.session.add(AcmeAuthority(**asdict(builtin), is_builtin=True))
    elif authority.is_builtin:
        for name, value in asdict(builtin).items():
            setattr(authority, name, value)
    db.session.flush()


def _ensure_test_authority(config: Config) -> None:
    """Without its setting it goes; one that renews certificates stays, but has no address to ask at."""
    authority = _find(TEST_AUTHORITY)
    if config.acme_directory:
        if authority is None:
            authority = AcmeAuthority(name=TEST_AUTHORITY)
            db.session.add(authority)
        authority.directory_url, authority.ca_pem = config.acme_directory, config.acme_ca_pem
        authority.dns_server = config.acme_dns_server
        authority.is_test = authority.is_builtin = True
    elif authority is not None and authority.is_builtin:
        authority.directory_url, authority.fallback_position = "", None
        if not _has_certificates(authority):
            db.session.delete(authority)
    db.session.flush()


def _choose_default(config: Config) -> None:
    wanted = _by_environment(config)
    present = authorities.default()
    if wanted is None and (present is None or not present.directory_url or _was_chosen_by_environment(present)):
        wanted = _find(LETS_ENCRYPT)
    if wanted is not None and not wanted.is_default:
        authorities.make_default(wanted, None)


def _by_environment(config: Config) -> AcmeAuthority | None:
    if config.acme_directory:
        return _find(TEST_AUTHORITY)
    return _find(LETS_ENCRYPT_STAGING) if config.letsencrypt_staging else None


def _was_chosen_by_environment(authority: AcmeAuthority) -> bool:
    """Whether no person made it the default: then it is over with the setting. The audit log remembers."""
    query = select(Event).where(Event.noun == authorities.NOUN, Event.object_id == str(authority.id))
    last = db.session.scalar(query.where(Event.verb.endswith(":default")).order_by(Event.id.desc()).limit(1))
    return last is not None and last.actor_id is None


def _has_certificates(authority: AcmeAuthority) -> bool:
    query = select(Certificate.id).where(Certificate.authority_id == authority.id).limit(1)
    return db.session.scalar(query) is not None


def _find(name: str) -> AcmeAuthority | None:
    return db.session.scalar(select(AcmeAuthority).where(AcmeAuthority.name == name))
