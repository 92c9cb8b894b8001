"""How each kind of change is taken back, and which later changes stand in its way.
May import: panel.services, panel.models, panel.errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from panel.errors import Conflict
from panel.i18n import gettext as _
from panel.models import Agent, Command, Event, ProxyHost, Role, User
from panel.services import (
    accounts,
    agents,
    authorities,
    certificates,
    channels,
    context,
    deployments,
    drift,
    label_hosts,
    proxy_hosts,
    waiting,
)
from panel.services.proxy_hosts import ProxyHostSpec

# What happens to an object without changing what people set of it.
NEUTRAL = frozenset(
    {"proxy_host:refuse", "proxy_host:certificate-refused"}
    | {f"certificate:{verb}" for verb in ("request", "rehearse", "renew", "found", "issued", "renewed", "failed")}
    | {f"certificate:{verb}" for verb in ("vanished", "revoke", "revoked", "upload", "replace")}
)


@dataclass(frozen=True)
class Undone:
    """What was taken back, and the job that brings it to nginx. `waits`: it is saved, and live with the next apply."""

    event: Event
    command: Command | None = None
    waits: bool = False


@dataclass(frozen=True)
class Way:
    """How one kind of change is taken back.

    `rivals` are the changes after which it cannot be (None: whatever else is done to the object), on the same object
    or, with `is_panel_wide`, on any.
    """

    carry_out: Callable[[Event, User], Undone]
    rivals: frozenset[str] | None = None
    is_panel_wide: bool = False
    is_for_administrators: bool = False

    def is_rival(self, event: Event, verb: str, object_id: str) -> bool:
        """Whether a later change of this kind to this object stands in the way of taking `event` back."""
        if self.rivals is None:
            return object_id == event.object_id and verb.startswith(f"{event.noun}:") and verb not in NEUTRAL
        return verb in self.rivals and (self.is_panel_wide or object_id == event.object_id)


def changed_since(event: Event) -> Conflict:
    """The refusal when somebody was there in between."""
    name = event.object_name or "this"
    return Conflict(_("Not undone: somebody changed %(name)s since. Compare the changes, then decide.", name=name))


def _undo_host_edit(event: Event, actor: User) -> Undone:
    host = proxy_hosts.get(int(event.object_id))
    saved = proxy_hosts.describe(host)
    if any(name in saved and saved[name] != value for name, value in (event.after or {}).items()):
        raise changed_since(event)
    return save_host(host, event, event.before or {}, actor, "undo", is_applied=event.command_id is not None)


def save_host(
    host: ProxyHost, event: Event, values: Mapping[str, Any], actor: User, verb: str, *, is_applied: bool
) -> Undone:
    """The host with these values; a field that did not exist then keeps what it has now."""
    known = {name: value for name, value in values.items() if name in ProxyHostSpec.__dataclass_fields__}
    known["domain_names"] = tuple(known.get("domain_names", host.domain_names))
    spec = replace(proxy_hosts.spec_of(host), **known)
    concerned = {host.agent_id: host.agent}
    may_apply = is_applied or not _others_wait(host)
    host = proxy_hosts.update(host, spec, actor, version=host.version, verb=verb)
    concerned[host.agent_id] = host.agent
    return _apply(event, concerned.values(), actor, may_apply=may_apply)


def _others_wait(host: ProxyHost) -> bool:
    """Whether an apply would also bring what somebody has saved of other hosts and left for later."""
    return waiting.others(host.agent, host).count > 0


def _apply(event: Event, concerned: Iterable[Agent], actor: User, *, may_apply: bool = True) -> Undone:
    able = [agent for agent in concerned if not agent.is_revoked]
    if not (able and may_apply):
        return Undone(event, waits=True)
    window, longest_wait = context.config().apply_window, context.config().apply_longest_wait
    sent = [deployments.apply(agent, actor, window=window, longest_wait=longest_wait) for agent in able]
    return Undone(event, sent[-1])


def _undo_host_arrival(event: Event, actor: User) -> Undone:
    host = proxy_hosts.get(int(event.object_id))
    proxy_hosts.delete(host, actor)
    return _apply(event, [host.agent], actor)


def _undo_host_delete(event: Event, actor: User) -> Undone:
    host = proxy_hosts.restore(proxy_hosts.get(int(event.object_id)), actor)
    return _apply(event, [host.agent], actor)


def _undo_channel_switch(event: Event, actor: User) -> Undone:
    channels.set_enabled(channels.get(int(event.object_id)), actor, enabled=event.verb.endswith(":disable"))
    return Undone(event)


def _undo_default(event: Event, actor: User) -> Undone:
    name = (event.before or {}).get("default", "")
    previous = next((one for one in authorities.list_all() if one.name == name), None)
    if previous is None:
        raise Conflict(
            _("This cannot be undone any more: the authority %(name)s is gone. Choose another default.", name=name)
        )
    authorities.set_default(previous, actor)
    return Undone(event)


def _undo_fallbacks(event: Event, actor: User) -> Undone:
    ids = {one.name: one.id for one in authorities.list_all()}
    names = (event.before or {}).get("fallbacks", [])
    gone = [name for name in names if name not in ids]
    if gone:
        raise Conflict(
            _("This cannot be undone any more: the authority %(gone)s is gone. Choose the order again.", gone=gone[0])
        )
    authorities.set_fallbacks([ids[name] for name in names], actor)
    return Undone(event)


def _undo_pause(event: Event, actor: User) -> Undone:
    certificate = certificates.get(int(event.object_id))
    (certificates.resume if event.verb.endswith(":pause") else certificates.pause)(certificate, actor)
    return Undone(event)


def _undo_renewal_edit(event: Event, actor: User) -> Undone:
    certificate = certificates.get(int(event.object_id))
    spec = certificates.spec_of(certificate)
    before = {name: value for name, value in (event.before or {}).items() if name in spec.__dataclass_fields__}
    return Undone(event, certificates.update(certificate, replace(spec, **before), actor))


def _undo_healing(event: Event, actor: User) -> Undone:
    drift.set_healing(agents.get(event.object_id), bool((event.before or {}).get("heals")), actor)
    return Undone(event)


def _undo_trust(event: Event, actor: User) -> Undone:
    is_on = bool((event.before or {}).get("trusts_labels"))
    label_hosts.set_trust(agents.get(event.object_id), actor, is_on=is_on)
    return Undone(event)


def _undo_access(event: Event, actor: User) -> Undone:
    user = accounts.get_by_id(int(event.object_id))
    (accounts.enable if event.verb.endswith(":disable") else accounts.disable)(user, actor)
    return Undone(event)


def _undo_role(event: Event, actor: User) -> Undone:
    role = Role((event.before or {})["role"])
    accounts.set_role(accounts.get_by_id(int(event.object_id)), role, actor)
    return Undone(event)


def _only(*verbs: str) -> frozenset[str]:
    return frozenset(verbs)


_HOST_EDIT, _PAUSES = Way(_undo_host_edit), Way(_undo_pause, _only("certificate:pause", "certificate:resume"))
_ACCESS = Way(_undo_access, _only("user:disable", "user:enable"), is_for_administrators=True)
_SWITCH = Way(_undo_channel_switch, is_for_administrators=True)

# What is not here cannot be taken back, and has no button.
WAYS: dict[str, Way] = {
    "proxy_host:create": Way(_undo_host_arrival),
    "proxy_host:restore": Way(_undo_host_arrival),
    "proxy_host:delete": Way(_undo_host_delete),
    **{f"proxy_host:{verb}": _HOST_EDIT for verb in ("update", "enable", "disable", "link", "unlink")},
    **{f"proxy_host:{verb}": _HOST_EDIT for verb in ("undo", "roll-back")},
    "notification_channel:enable": _SWITCH,
    "notification_channel:disable": _SWITCH,
    "acme_authority:default": Way(_undo_default, _only("acme_authority:default"), is_panel_wide=True),
    "acme_authority:fallbacks": Way(_undo_fallbacks),
    "certificate:pause": _PAUSES,
    "certificate:resume": _PAUSES,
    "certificate:update": Way(_undo_renewal_edit),
    "agent:heal": Way(_undo_healing, _only("agent:heal")),
    "agent:trust-labels": Way(_undo_trust, _only("agent:trust-labels"), is_for_administrators=True),
    "user:disable": _ACCESS,
    "user:enable": _ACCESS,
    "user:set_role": Way(_undo_role, _only("user:set_role"), is_for_administrators=True),
}
