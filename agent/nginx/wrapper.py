"""The text of a release's nginx.conf, and the files of the first release: what only this machine knows.
May import: agent.nginx.layout."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.nginx.layout import Layout

# What the revision endpoint answers before anything was applied.
NO_REVISION = "none"


@dataclass(frozen=True)
class Machine:
    """What the wrapper takes from the machine. `user` is empty when nginx does not run as root. In a container of its
    own nginx is reached from outside it, and has `https_port` from its first start; 0 elsewhere."""

    user: str
    resolvers: tuple[str, ...]
    ipv6: bool
    status_port: int
    http_port: int
    shutdown_seconds: int = 600
    is_container: bool = False
    https_port: int = 0

    @property
    def status_listen(self) -> str:
        """Where the revision is answered: to this machine only, or to whoever shares a network with the container."""
        return f"{self.status_port}" if self.is_container else f"127.0.0.1:{self.status_port}"


def render(
    layout: Layout, machine: Machine, revision: str, files: Iterable[Path], plain: Mapping[str, str] | None = None
) -> str:
    """nginx.conf of a release. `files` are included in this order, by absolute path, so that one rename of the link
    to the release decides everything that nginx reads. `plain` are hosts by the path of their file, which is not read
    while its certificate is gone."""
    includes = "".join(f'    include "{path}";\n' for path in files)
    includes += "".join(
        f"    # In place of {path}, whose certificate is gone:\n{text}" for path, text in (plain or {}).items()
    )
    return f"""# Written by the Waypost agent for revision {revision}. Changes made here are lost at the next apply.
{_user(machine)}worker_processes auto;
pid "{layout.pid}";
error_log "{layout.error_log}" warn;
# Old workers live as long as their connections; this ends those that never close, so that they do not pile up.
worker_shutdown_timeout {machine.shutdown_seconds}s;

events {{
    worker_connections 4096;
}}

http {{
    access_log off;
    # Hosts pass everything on but ACME challenges; those are files in this folder, and nothing else lies in it.
    root "{layout.webroot}";
{_temp_paths(layout)}{_resolver(machine)}
    server {{
        listen {machine.status_listen};
        server_name "";
        keepalive_timeout 0;
        location = /revision {{
            default_type text/plain;
            return 200 "{revision}";
        }}
        location /.well-known/acme-challenge/ {{
        }}
        location / {{
            return 404;
        }}
    }}
    # Files of older panels pass challenges on to this.
    upstream waypost_agent {{
        server 127.0.0.1:{machine.status_port};
    }}

{includes}}}
"""


def render_test(layout: Layout, machine: Machine, folder: Path, files: Iterable[Path]) -> str:
    """The same for `nginx -t`: it writes no log and no pid of the running nginx."""
    text = render(layout, machine, "test", files)
    text = text.replace(f'pid "{layout.pid}"', f'pid "{folder / "nginx.pid"}"')
    return text.replace(f'error_log "{layout.error_log}" warn', "error_log stderr warn")


def first_files(machine: Machine) -> dict[str, str]:
    """The bundle of an agent that has applied nothing yet: 404 for every name, and no TLS for any."""
    default = (
        "# Nothing was applied yet: 404 for every name.\nserver {\n"
        f"{_listen(machine, machine.http_port, 'default_server')}{_first_tls(machine)}"
        '    server_name "";\n'
        "    location ~ ^/(?!\\.well-known/acme-challenge/) {\n        return 404;\n    }\n}\n"
    )
    return {"http.conf": "server_tokens off;\n", "default.conf": default}


def _first_tls(machine: Machine) -> str:
    """Needs nginx 1.19.4, but no certificate. Only in a container: on a machine the port may be another's, and
    nginx would not start."""
    if not machine.https_port:
        return ""
    return f"{_listen(machine, machine.https_port, 'ssl default_server')}    ssl_reject_handshake on;\n"


def _listen(machine: Machine, port: int, how: str) -> str:
    ipv6 = f"    listen [::]:{port} {how};\n" if machine.ipv6 else ""
    return f"    listen {port} {how};\n{ipv6}"


def resolvers(resolv_conf: str) -> tuple[str, ...]:
    """The name servers of /etc/resolv.conf as nginx wants them: IPv6 in brackets, link-local ones left out."""
    found: list[str] = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = ipaddress.ip_address(words[1])
        except ValueError:
            continue
        if not (isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.is_link_local)):
            found.append(f"[{address}]" if address.version == 6 else str(address))
    return tuple(found)


def _user(machine: Machine) -> str:
    return f"user {machine.user};\n" if machine.user else ""


def _temp_paths(layout: Layout) -> str:
    kinds = {"client_body": "body", "proxy": "proxy", "fastcgi": "fastcgi", "uwsgi": "uwsgi", "scgi": "scgi"}
    return "".join(f'    {name}_temp_path "{layout.temp / folder}";\n' for name, folder in kinds.items())


def _resolver(machine: Machine) -> str:
    """Names of upstreams are looked up while nginx runs, so that a dead one harms nobody. A machine without a name
    server has one that does not answer: with none at all nginx refuses groups with names."""
    ipv6 = "" if machine.ipv6 else " ipv6=off"
    return f"    resolver {' '.join(machine.resolvers or ('127.0.0.1',))}{ipv6};\n    resolver_timeout 5s;\n"
