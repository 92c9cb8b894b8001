"""The commands that this agent knows: one file each, and this table.
May import: agent.handlers.*."""

from agent.handlers.apply_config import apply_config
from agent.handlers.check_nginx import check_nginx
from agent.handlers.job import Handler
from agent.handlers.reload import reload
from agent.handlers.test_config import test_config

# By the name of the action in command_stream.proto. Handlers of one resource run one after the other; those without
# a resource are questions, which run beside them.
HANDLERS: dict[str, Handler] = {
    "apply_config": Handler(apply_config, resource="nginx"),
    "test_config": Handler(test_config, resource="nginx"),
    "reload": Handler(reload, resource="nginx"),
    "check_nginx": Handler(check_nginx),
}
