"""The values of the list of certificates and of one certificate's page.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panel.models import Certificate, CertificateSource
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import agents, certificates, jobs
from panel.web import listing
from panel.web.audit import history
from panel.web.certificates import view, words
from panel.web.certificates.listing import CERTIFICATES
from panel.web.jobs import lines

JOBS_SHOWN = 10
CHANGES_SHOWN = 8


def list_values(args: Mapping[str, str]) -> dict[str, Any]:
    """What the list shows for a URL's parameters."""
    everyone = agents.list_all()
    query = listing.parse(CERTIFICATES, args, everyone)
    found = certificates.list_page(
        query=query.query,
        agent_id=query.agent_id or None,
        status=query.status or None,
        sort=query.sort,
        descending=query.descending,
        page=query.page,
        per_page=listing.PER_PAGE,
    )
    return {
        "query": query,
        "rows": rows(found.items),
        "page": found,
        "columns": listing.columns(query),
        "filters": listing.filters(query, everyone),
        "total": certificates.list_page(per_page=1).total,
        "has_agents": any(not agent.is_revoked for agent in everyone),
    }


def rows(found: list[Certificate]) -> list[view.CertificateRow]:
    """Certificates as lines of the list."""
    now = utcnow()
    under_way = jobs.open_about([certificate.id for certificate in found])
    return [view.row(c, certificates.hosts_using(c), under_way.get(c.id), now) for c in found]


def certificate_values(certificate: Certificate) -> dict[str, Any]:
    """What one certificate's page shows."""
    now = utcnow()
    hosts = certificates.hosts_using(certificate)
    open_job = jobs.open_about([certificate.id]).get(certificate.id)
    matching = sorted(certificates.hosts_matching(certificate), key=lambda host: host.certificate_id is not None)
    next_word, next_at = view.next_renewal(certificate)
    return {
        "certificate": certificate,
        "name": display_name(certificate.names[0]) if certificate.names else certificate.name,
        "names": [(name, display_name(name)) for name in certificate.names],
        "status": view.status(certificate, open_job, now),
        "validity": view.validity(certificate, now),
        "trouble": view.last_trouble(certificate),
        "open_job": open_job,
        "hosts": [(host, display_name(host.primary_name)) for host in hosts],
        "matching": [(host, display_name(host.primary_name)) for host in matching],
        "has_others": any(host.certificate_id for host in matching),
        "next_word": next_word,
        "next_at": next_at,
        "next_action": words.ACTIONS.get(certificate.next_action, ""),
        "why": view.why_then(certificate),
        "words": words,
        "is_test": words.is_test(certificate),
        "is_acme": certificate.source == CertificateSource.ACME,
        "is_upload": certificate.source == CertificateSource.UPLOAD,
        "is_certbot": certificate.source == CertificateSource.CERTBOT,
        "reasons": certificates.REVOCATION_REASONS,
        "jobs": lines.about(certificate.id, JOBS_SHOWN),
        **history.values("certificate", certificate.id, CHANGES_SHOWN),
    }
