"""Hosts and facts that tests render."""

from __future__ import annotations

from typing import Any

from panel.models import ProxyHost
from panel.nginx.render import NginxFacts

OLD = NginxFacts(version="1.22.1", http_port=8080, https_port=8443, ipv6=True)
NEW = NginxFacts(version="1.29.0", http_port=8080, https_port=8443, ipv6=True)


def host(**values: Any) -> ProxyHost:
    plain: dict[str, Any] = {
        "id": 12,
        "domain_names": ["app.example.com"],
        "forward_scheme": "http",
        "forward_host": "10.0.0.5",
        "forward_port": 3000,
        "websocket": False,
    }
    return ProxyHost(**{**plain, **values})
