"""The contract between panel and agent, and the code generated from it.
May import: nothing of ours."""

PROTOCOL_VERSION = 1
OLDEST_PROTOCOL_VERSION = 1
