"""The providers, one a file. A new file here is offered by itself: copy the one that is nearest.
May import: agent.dns (not zones, propagation, publish, check); nothing heavy when imported."""
