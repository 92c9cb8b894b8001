"""Hosts in, nginx files out. Pure functions: what they are given decides every byte.
May import: panel.models, panel.nginx.{bundle,grammar}, jinja2."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from panel.models import Agent, ProxyHost
from panel.nginx import grammar
from panel.nginx.bundle import ConfigBundle, ConfigFile

HTTP_PATH = "http.conf"
DEFAULT_PATH = "default.conf"
HTTPS_PORT = 443

# `server … resolve` without the commercial nginx.
_RESOLVE_SINCE = (1, 27, 3)
# `keepalive_min_timeout`: old workers keep idle connections for that long instead of closing them under a request.
_KEEP_SINCE = (1, 27, 4)
# `http2 on` in a server; before, HTTP/2 is a property of a listening address and so of all hosts together.
_HTTP2_PER_HOST_SINCE = (1, 25, 1)
# Mozilla's "intermediate" list without finite-field DH, which needs parameters of its own. TLS 1.3 has its own list.
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_FILE_NAME_LENGTH = 200
# nginx's resolver reads no hosts file, and not every name server knows this one.
_LOCAL_ADDRESSES = {"localhost": "127.0.0.1"}
_BARE = re.compile(r"\A[A-Za-z0-9._:/*\[\]-]+\Z")
_QUOTABLE = re.compile(r"\A[ -~]*\Z")
_CERTIFICATE_PATH = re.compile(r"\A/[A-Za-z0-9_.@+,=:/ -]+\Z")
_LISTENS_TLS = "\n    ssl_certificate "
_HOST_PATH = re.compile(r"\Ahosts/(?P<id>[0-9]+)-")


class UnsafeValue(ValueError):
    """A value that must not reach a file. `field` is the form field it came from, "" when it is none."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True)
class NginxFacts:
    """What must be known of an nginx to render for it. Ports are those it listens on."""

    version: str
    http_port: int
    https_port: int
    ipv6: bool

    @classmethod
    def of(cls, agent: Agent) -> NginxFacts:
        """What the agent said last."""
        return cls(agent.nginx_version, agent.http_port, agent.https_port, agent.has_ipv6)

    @property
    def listen(self) -> tuple[str, ...]:
        """The addresses of plain HTTP."""
        return (str(self.http_port), f"[::]:{self.http_port}") if self.ipv6 else (str(self.http_port),)

    @property
    def can_resolve(self) -> bool:
        """Whether upstream groups may hold names that are looked up while nginx runs."""
        return self._is_at_least(_RESOLVE_SINCE)

    @property
    def can_keep(self) -> bool:
        """Whether a reload can leave idle connections open for a while."""
        return self._is_at_least(_KEEP_SINCE)

    @property
    def listen_tls(self) -> tuple[str, ...]:
        """The addresses of HTTPS."""
        return (str(self.https_port), f"[::]:{self.https_port}") if self.ipv6 else (str(self.https_port),)

    @property
    def http2_per_host(self) -> bool:
        """Whether each host can decide on HTTP/2; before nginx 1.25.1 all hosts of an agent have it, or none."""
        return self._is_at_least(_HTTP2_PER_HOST_SINCE)

    def _is_at_least(self, version: tuple[int, ...]) -> bool:
        parts = self.version.split(".")
        return all(map(str.isdigit, parts)) and tuple(map(int, parts)) >= version


@dataclass(frozen=True)
class CertificateFiles:
    """Absolute paths on the agent's machine, inside its folder of certificates, which the agent checks."""

    chain: str
    key: str


@dataclass(frozen=True)
class Tls:
    """What all hosts of an agent share of HTTPS. `http2`: whether the listening address speaks HTTP/2, for an nginx in
    which that is no host's own choice."""

    http2: bool = True


@dataclass(frozen=True)
class Site:
    """The values of a host that decide its file; equal sites have equal files."""

    label: str
    domain_names: tuple[str, ...]
    forward_scheme: str
    forward_host: str
    forward_port: int
    websocket: bool
    force_ssl: bool
    hsts: bool
    http2: bool

    @classmethod
    def of(cls, host: ProxyHost) -> Site:
        """A saved host, or a draft without an id."""
        return cls(
            str(host.id or "new"),
            tuple(host.domain_names),
            host.forward_scheme,
            host.forward_host,
            host.forward_port,
            bool(host.websocket),
            bool(host.force_ssl),
            bool(host.hsts),
            host.http2 is not False,  # None: a draft that says nothing of it
        )

    @property
    def path(self) -> str:
        """Where the file stands: the id makes it the host's own, the name is for people."""
        name = self.domain_names[0].replace("*.", "wildcard.")[:_FILE_NAME_LENGTH]
        return f"hosts/{self.label}-{name}.conf"


def render_host(host: ProxyHost, facts: NginxFacts, certificate: CertificateFiles | None = None) -> ConfigFile:
    """The file of one host, which also listens for HTTPS when it has a certificate. Raises UnsafeValue when a value is
    not of the grammar's spelling."""
    return render_site(Site.of(host), facts, certificate)


# A thousand hosts with their drafts; what did not change since the last apply is not rendered again.
@lru_cache(maxsize=4096)
def render_site(site: Site, facts: NginxFacts, certificate: CertificateFiles | None) -> ConfigFile:
    """The same for the values of a host. Raises UnsafeValue."""
    _guard(site)
    _guard_paths(certificate)
    address = _LOCAL_ADDRESSES.get(site.forward_host, site.forward_host)
    is_address = _is_address(address)
    in_group = is_address or facts.can_resolve
    server = f"[{address}]:{site.forward_port}" if ":" in address else f"{address}:{site.forward_port}"
    text = _ENVIRONMENT.get_template("host.conf.j2").render(
        site=site,
        listen=facts.listen,
        listen_tls=facts.listen_tls if certificate else (),
        certificate=certificate,
        http2=certificate is not None and site.http2 and facts.http2_per_host,
        https_suffix="" if facts.https_port == HTTPS_PORT else f":{facts.https_port}",
        url=f"{site.forward_scheme}://{server}",
        server=server,
        group=f"waypost_{site.label}" if in_group else "",
        resolve=not is_address,
        is_address=is_address,
    )
    return ConfigFile(site.path, text)


@lru_cache(maxsize=16)
def render_http(facts: NginxFacts, tls: Tls | None = None) -> ConfigFile:
    """What all hosts share; `tls` when any of them listens for HTTPS."""
    values = {"can_keep": facts.can_keep, "tls": tls is not None, "ciphers": _CIPHERS}
    return ConfigFile(HTTP_PATH, _ENVIRONMENT.get_template("http.conf.j2").render(values))


@lru_cache(maxsize=16)
def render_default(facts: NginxFacts, tls: Tls | None = None) -> ConfigFile:
    """What answers for names that no host has. A handshake for such a name is refused: no certificate would fit."""
    text = _ENVIRONMENT.get_template("default.conf.j2").render(
        listen=facts.listen,
        listen_tls=facts.listen_tls if tls else (),
        http2=tls is not None and tls.http2 and not facts.http2_per_host,
    )
    return ConfigFile(DEFAULT_PATH, text)


def render_shared(
    files: Iterable[ConfigFile], facts: NginxFacts, *, http2: bool = True
) -> tuple[ConfigFile, ConfigFile]:
    """http.conf and default.conf for these files of hosts. `http2`: whether all hosts with a certificate want it; an
    nginx that has one setting for all follows the one that does not, which has a reason."""
    is_tls = any(_LISTENS_TLS in file.text for file in files)
    tls = Tls(facts.http2_per_host or http2) if is_tls else None
    return render_http(facts, tls), render_default(facts, tls)


def is_shared_current(manifest: Mapping[str, str], facts: NginxFacts) -> bool:
    """Whether the files that all hosts share are, in this manifest, as they would be written now for some hosts."""
    found = (manifest.get(HTTP_PATH), manifest.get(DEFAULT_PATH))
    return any(
        found == (render_http(facts, tls).sha256, render_default(facts, tls).sha256)
        for tls in (None, Tls(http2=True), Tls(http2=False))
    )


def render_bundle(
    hosts: Iterable[ProxyHost], facts: NginxFacts, certificates: Mapping[int, CertificateFiles] | None = None
) -> ConfigBundle:
    """All files of an nginx that serves these hosts, those in `certificates` (by id) with HTTPS. Raises UnsafeValue."""
    pairs, every = certificates or {}, list(hosts)
    files = [render_host(host, facts, pairs.get(host.id)) for host in every]
    shared = render_shared(files, facts, http2=all(host.http2 is not False for host in every if host.id in pairs))
    return ConfigBundle.of((*shared, *files))


def host_id_of(path: str) -> int | None:
    """The id of the host whose file this is; None for files of no host."""
    match = _HOST_PATH.match(path)
    return int(match["id"]) if match else None


def _guard(site: Site) -> None:
    """Checks every value again: what stands in the database is not believed."""
    _check("domain_names", grammar.parse_domain_names, site.domain_names)
    _check("forward_scheme", grammar.parse_forward_scheme, site.forward_scheme)
    _check("forward_host", grammar.parse_forward_host, site.forward_host)
    _check("forward_port", grammar.parse_port, site.forward_port)
    if not (site.label == "new" or (site.label.isascii() and site.label.isdigit())):
        raise UnsafeValue("A host's id is a number.")


def _guard_paths(certificate: CertificateFiles | None) -> None:
    for path in (certificate.chain, certificate.key) if certificate else ():
        if not _CERTIFICATE_PATH.match(path) or ".." in path:
            raise UnsafeValue("The certificate lies at a path that nginx could misread.", "certificate_id")


def _check(field: str, parse: Callable[[Any], Any], value: object) -> None:
    try:
        parsed = parse(value)
    except ValueError as error:
        raise UnsafeValue(str(error), field) from error
    if parsed != value:
        raise UnsafeValue("The saved value is not in the spelling that nginx needs. Save the host again.", field)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def quote(value: object) -> str:
    """A value as one word of nginx's language. Raises UnsafeValue for what quotes cannot hold."""
    text = str(value)
    if _BARE.match(text):
        return text
    if not _QUOTABLE.match(text) or any(c in text for c in '"\\$'):
        raise UnsafeValue("A value has characters that nginx would read as its own.")
    return f'"{text}"'


def _make_environment() -> Environment:
    """Every expression of a template passes `quote`, so that none can be forgotten. Files are not HTML."""
    return Environment(
        loader=PackageLoader("panel.nginx"),
        undefined=StrictUndefined,
        finalize=quote,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - nginx's language, not HTML; finalize quotes
    )


_ENVIRONMENT = _make_environment()
