"""DNS-01: one file per provider in `providers`, and what all of them need: zones, delegation, propagation.
May import: agent.output, agent.errors, dnspython, requests."""
