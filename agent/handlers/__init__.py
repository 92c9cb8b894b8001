"""The commands that this agent knows: one file each, and this table.
May import: agent.handlers.*."""

from agent.handlers.apply_config import apply_config
from agent.handlers.attach_network import attach_network
from agent.handlers.check_addresses import check_addresses
from agent.handlers.check_dns_credential import check_dns_credential
from agent.handlers.check_names import check_names
from agent.handlers.check_nginx import check_nginx
from agent.handlers.check_upstream import check_upstream
from agent.handlers.configure_certificate import configure_certificate
from agent.handlers.container_networks import container_networks
from agent.handlers.delete_certificate import delete_certificate
from agent.handlers.detach_network import detach_network
from agent.handlers.install_certificate import install_certificate
from agent.handlers.issue_certificate import issue_certificate
from agent.handlers.job import Handler
from agent.handlers.list_containers import list_containers
from agent.handlers.list_networks import list_networks
from agent.handlers.reload import reload
from agent.handlers.renew_certificate import renew_certificate
from agent.handlers.revoke_certificate import revoke_certificate
from agent.handlers.take_over_certificate import take_over_certificate
from agent.handlers.test_config import test_config

# By the name of the action in command_stream.proto. Handlers of one resource run one after the other, and "acme" is one
# resource per certificate; those without a resource are questions, which run beside them.
HANDLERS: dict[str, Handler] = {
    "apply_config": Handler(apply_config, resource="nginx"),
    "test_config": Handler(test_config, resource="nginx"),
    "reload": Handler(reload, resource="nginx"),
    "check_nginx": Handler(check_nginx),
    "issue_certificate": Handler(issue_certificate, resource="acme", resumes=True),
    "renew_certificate": Handler(renew_certificate, resource="acme", resumes=True),
    "revoke_certificate": Handler(revoke_certificate, resource="acme", resumes=True),
    "install_certificate": Handler(install_certificate, resource="acme", resumes=True),
    "delete_certificate": Handler(delete_certificate, resource="acme", resumes=True),
    "configure_certificate": Handler(configure_certificate, resource="acme", resumes=True),
    "take_over_certificate": Handler(take_over_certificate, resource="acme", resumes=True),
    "check_names": Handler(check_names),
    "check_dns_credential": Handler(check_dns_credential),
    "attach_network": Handler(attach_network, resource="docker", resumes=True),
    "detach_network": Handler(detach_network, resource="docker", resumes=True),
    "list_networks": Handler(list_networks),
    "list_containers": Handler(list_containers),
    "container_networks": Handler(container_networks),
    "check_upstream": Handler(check_upstream),
    "check_addresses": Handler(check_addresses),
}
