"""The panel's settings, read once from the environment; the only reader of os.environ.
May import: panel.errors and the standard library."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


class ConfigError(Exception):
    """A setting that cannot be used; the sentence names the variable."""


@dataclass(frozen=True)
class OidcSettings:
    """Sign-in by OpenID Connect. `roles` pairs values of the claim `role_claim` with roles; no claim, no roles."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_url: str
    name: str = "OpenID"
    scopes: str = "openid profile email"
    role_claim: str = ""
    roles: tuple[tuple[str, str], ...] = ()
    admits_unknown: bool = False


@dataclass(frozen=True)
class Config:
    """Everything that is decided at deploy time. Ports are TCP ports, durations are seconds."""

    state_dir: Path
    database_url: str
    secret_key: str
    host: str = "127.0.0.1"
    port: int = 7800
    stream_host: str = "127.0.0.1"
    stream_port: int = 7801
    enroll_port: int = 7802
    public_url: str = ""
    secure_cookies: bool = False
    trusted_proxies: int = 0
    heartbeat_interval: float = 15.0
    stale_after: float = 25.0
    offline_after: float = 45.0
    apply_window: float = 1.0
    apply_longest_wait: float = 5.0
    metrics_token: str = ""
    bundled_agent: str = ""
    letsencrypt_email: str = ""
    letsencrypt_staging: bool = False
    acme_directory: str = ""
    acme_ca_pem: str = ""
    acme_dns_server: str = ""
    join_dir: Path | None = None
    oidc: OidcSettings | None = None
    failpoint: str = ""

    @property
    def pki_dir(self) -> Path:
        """Where the panel's CA lives (0700)."""
        return self.state_dir / "pki"

    @property
    def base_url(self) -> str:
        """Where a browser finds the panel: as it was set, else on this machine, of which it may hear all addresses."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", ""} else self.host  # noqa: S104 - compared, not bound
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def bundled_token_file(self) -> Path:
        """Where the bundled agent finds its one-time token; a folder of its own when that agent is in a container."""
        return (self.join_dir or self.state_dir) / "bundled-agent.token"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Reads PANEL_* (and PANEL_*_FILE for secrets). Raises ConfigError with the variable's name."""
        env = os.environ if environ is None else environ
        state_dir = Path(env.get("PANEL_STATE_DIR", "var/panel")).absolute()
        return cls(
            state_dir=state_dir,
            database_url=_database_url(env) or f"sqlite:///{state_dir / 'panel.sqlite3'}",
            secret_key=_secret(env, "PANEL_SECRET_KEY") or _stored_secret_key(state_dir),
            host=env.get("PANEL_HOST", cls.host),
            port=_port(env, "PANEL_PORT", cls.port),
            stream_host=env.get("PANEL_STREAM_HOST", cls.stream_host),
            stream_port=_port(env, "PANEL_STREAM_PORT", cls.stream_port),
            enroll_port=_port(env, "PANEL_ENROLL_PORT", cls.enroll_port),
            public_url=env.get("PANEL_PUBLIC_URL", "").rstrip("/"),
            secure_cookies=_flag(env, "PANEL_SECURE_COOKIES", cls.secure_cookies),
            trusted_proxies=_integer(env, "PANEL_TRUSTED_PROXIES", 0, 0, 10),
            heartbeat_interval=_number(env, "PANEL_HEARTBEAT_INTERVAL", cls.heartbeat_interval),
            stale_after=_number(env, "PANEL_STALE_AFTER", cls.stale_after),
            offline_after=_number(env, "PANEL_OFFLINE_AFTER", cls.offline_after),
            apply_window=_number(env, "PANEL_APPLY_WINDOW", cls.apply_window),
            apply_longest_wait=_number(env, "PANEL_APPLY_LONGEST_WAIT", cls.apply_longest_wait),
            metrics_token=_secret(env, "PANEL_METRICS_TOKEN"),
            bundled_agent=env.get("PANEL_BUNDLED_AGENT", ""),
            letsencrypt_email=env.get("LETSENCRYPT_EMAIL", "").strip(),
            letsencrypt_staging=_flag(env, "LETSENCRYPT_STAGING", cls.letsencrypt_staging),
            acme_directory=_https(env, "PANEL_ACME_DIRECTORY"),
            acme_ca_pem=_content(env, "PANEL_ACME_CA_FILE"),
            acme_dns_server=env.get("PANEL_ACME_DNS_SERVER", ""),
            join_dir=Path(env["PANEL_JOIN_DIR"]).absolute() if env.get("PANEL_JOIN_DIR") else None,
            oidc=_oidc(env),
            failpoint=env.get("PANEL_FAILPOINT", ""),
        )


_ROLES = ("administrator", "operator", "viewer")


def _oidc(env: Mapping[str, str]) -> OidcSettings | None:
    """Sign-in by a provider; None without PANEL_OIDC_ISSUER."""
    issuer = env.get("PANEL_OIDC_ISSUER", "").strip()
    if not issuer:
        return None
    if not _is_safe_issuer(issuer):
        raise ConfigError(f"PANEL_OIDC_ISSUER: use an address that begins with https://, not {issuer!r}.")
    public_url = env.get("PANEL_PUBLIC_URL", "").rstrip("/")
    needed = {"PANEL_OIDC_CLIENT_ID": env.get("PANEL_OIDC_CLIENT_ID", ""), "PANEL_PUBLIC_URL": public_url}
    for name, value in needed.items():
        if not value:
            raise ConfigError(f"{name}: is needed when PANEL_OIDC_ISSUER is set.")
    unknown = env.get("PANEL_OIDC_UNKNOWN_PEOPLE", "refuse")
    if unknown not in {"refuse", "viewer"}:
        raise ConfigError(f"PANEL_OIDC_UNKNOWN_PEOPLE: use refuse or viewer, not {unknown!r}.")
    return OidcSettings(
        issuer=issuer,
        client_id=needed["PANEL_OIDC_CLIENT_ID"],
        client_secret=_secret(env, "PANEL_OIDC_CLIENT_SECRET"),
        redirect_url=f"{public_url}/login/provider/answer",
        name=env.get("PANEL_OIDC_NAME", OidcSettings.name),
        scopes=env.get("PANEL_OIDC_SCOPES", OidcSettings.scopes),
        role_claim=env.get("PANEL_OIDC_ROLE_CLAIM", ""),
        roles=_role_map(env),
        admits_unknown=unknown == "viewer",
    )


def _is_safe_issuer(issuer: str) -> bool:
    """https, or a provider on this very machine: whoever can change what is on the way could be anybody."""
    parts = urlsplit(issuer)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"})
    )


def _role_map(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """As in `admins=administrator, staff=viewer`; the roles' own names mean themselves unless something is named."""
    text = env.get("PANEL_OIDC_ROLES", "")
    if not text.strip():
        return tuple((role, role) for role in _ROLES)
    pairs = [(value.strip(), role.strip()) for value, _, role in (part.rpartition("=") for part in text.split(","))]
    for value, role in pairs:
        if not value or role not in _ROLES:
            raise ConfigError(f"PANEL_OIDC_ROLES: use value=role, with {', '.join(_ROLES)} as role, not {text!r}.")
    return tuple(pairs)


def _secret(env: Mapping[str, str], name: str) -> str:
    """The variable itself, or the content of the file that NAME_FILE points to."""
    return _content(env, f"{name}_FILE") if env.get(f"{name}_FILE") else env.get(name, "")


def _content(env: Mapping[str, str], name: str) -> str:
    """The content of the file that the variable points to; "" when it is not set."""
    path = env.get(name)
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigError(f"{name}: {path} cannot be read ({error.strerror}).") from error


def _https(env: Mapping[str, str], name: str) -> str:
    text = env.get(name, "").strip()
    if text and not text.startswith("https://"):
        raise ConfigError(f"{name}: use an address that begins with https://, not {text!r}.")
    return text


def _stored_secret_key(state_dir: Path) -> str:
    """The key made at first start. A damaged file is refused, not replaced: that would end everybody's session."""
    path = state_dir / "secret_key"
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"PANEL_STATE_DIR: {state_dir} cannot be written ({error.strerror}).") from error
    key = path.read_text().strip()
    if len(key) < 32:
        raise ConfigError(
            f"{path} is damaged. Restore it from a backup, or delete it: everybody must then log in again."
        )
    return key


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise ConfigError(f"{name}: use a whole number from {low} to {high}, not {text!r}.")
    return int(text)


def _database_url(env: Mapping[str, str]) -> str:
    """PostgreSQL by psycopg, in whatever spelling people know its addresses; "" when none is given."""
    url = _secret(env, "PANEL_DATABASE_URL")
    scheme, separator, rest = url.partition("://")
    if not url or scheme == "sqlite":
        return url
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ConfigError("PANEL_DATABASE_URL: use postgresql://user:password@host/name, or leave it out for SQLite.")
    return f"postgresql+psycopg://{rest}"


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    return _integer(env, name, default, 0, 65535)


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, str(default))
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{name}: use a number of seconds, not {text!r}.") from None
    if not 0 <= value <= 86_400:
        raise ConfigError(f"{name}: use a number of seconds from 0 to 86400, not {text!r}.")
    return value


def _flag(env: Mapping[str, str], name: str, default: bool) -> bool:
    text = env.get(name, "1" if default else "0").lower()
    if text not in {"0", "1", "true", "false", "yes", "no"}:
        raise ConfigError(f"{name}: use 1 or 0, not {text!r}.")
    return text in {"1", "true", "yes"}
