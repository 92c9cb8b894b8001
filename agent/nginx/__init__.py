"""The nginx engine: checks bundles, stages releases, switches, proves and rolls back.
May import: agent.journal, agent.output, agent.config, agent.errors."""
