"""Whether nginx reaches what its hosts lead to: looked at from where nginx is, and explained when it does not.
May import: agent.config, agent.docker, agent.errors, agent.nginx, agent.output."""
