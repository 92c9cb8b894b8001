"""Certificates: ordered by ACME, kept in certbot's layout, renewed without the panel.
May import: agent.nginx, agent.dns and below."""
