"""The Docker Engine beside this agent: its containers and networks, and nginx when that runs in one of them.
May import: agent.config, agent.errors, agent.output and the package docker."""
