"""Orders one certificate and writes it down, whatever was begun before.
May import: agent.errors, agent.failpoints and the parts of agent.acme below agent.acme.attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from agent import failpoints
from agent.acme.causes import say
from agent.acme.certbot import write_renewal
from agent.acme.engine import Engine, Job
from agent.acme.leaf import Leaf, Material, find_fault, make_key, read_leaf
from agent.acme.order import OrderRequest
from agent.acme.schedule import Plan, plan, renew_at
from agent.acme.spec import AcmeFailure, CertificateSpec, Failure, Issued
from agent.acme.state import Memory, Order
from agent.acme.store import Store
from agent.errors import AgentError

# What staging fails at says nothing about the certificate then.
_TROUBLES_OF_ITS_OWN = frozenset({"authority_unreachable", "authority_busy", "strange_answer", "other_limit"})
# After a renewal that the authority wanted early: one whose windows have always passed would be renewed without end.
_EARLY_PAUSE = timedelta(hours=6)


class _Log:
    """Keeps the address of an order where the next start finds it."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    def order_made(self, url: str) -> None:
        """See agent.acme.order.OrderLog."""
        memory = self._store.get(self._name)
        if memory and memory.order:
            self._store.update(self._name, order=replace(memory.order, url=url))
        failpoints.hit("certificate:ordered")


class _Unkept:
    """For an order whose certificate is thrown away."""

    def order_made(self, url: str) -> None:
        """Forgotten at once."""


class Ordering:
    """From what is remembered to a version on disk that is not in use yet."""

    def __init__(self, engine: Engine) -> None:
        self._at = engine

    def pending(self, name: str, job: Job) -> int:
        """A version that was issued and is not in use yet: its installation was cut off, or nginx refused it."""
        at = self._at
        memory, used = at.store.get(name), at.lineages.look(name).version
        versions = at.lineages.versions(name)
        if memory and memory.install and memory.install.version in versions:
            job.output.info("Going on with the installation that was cut off")
            return memory.install.version
        if memory is None or memory.spec is None or not versions or versions[-1] <= used:
            return 0
        try:
            material = at.lineages.material(name, versions[-1])
            leaf = read_leaf(material.leaf_pem)
        except (OSError, ValueError):
            return 0
        is_usable = not find_fault(material, memory.spec.names, at.now()) and _is_fresh(leaf, at.now())
        if not is_usable or not _is_wished(leaf, memory, memory.spec):
            return 0
        job.output.info("A certificate was issued already and is not in use yet; it is installed now")
        return versions[-1]

    def obtain(self, name: str, job: Job) -> int:
        """Orders, checks what came, and writes it. Raises AcmeFailure, AgentError, and what the guard raises."""
        at = self._at
        memory = at.store.get(name) or Memory(name)
        spec = memory.spec
        if spec is None or not spec.authorities:
            raise AgentError(f"There is nothing to order {name} by: no authority is chosen.")
        is_by_hand = spec.dns is not None and spec.dns.provider == "manual"
        if job.is_own and is_by_hand:
            words = "A DNS record must be added by hand for this certificate."
            raise AcmeFailure(Failure("record_not_seen", words, "Renew it yourself and add the record that is shown."))
        leaf = at.lineages.look(name).leaf
        chosen = plan(memory, leaf, at.now())
        if chosen.staging_first and not memory.is_ordered and not is_by_hand:
            self._rehearse(spec, chosen, job)
        issued = at.authorities.obtain(
            self._request(memory, spec, chosen, leaf), _Log(at.store, name), job.output, job.guard
        )
        failpoints.hit("certificate:obtained")
        ask_at = at.now() + _EARLY_PAUSE if _is_early(memory, leaf, at.now()) else None
        return self._keep(name, spec, issued, ask_at)

    def _request(self, memory: Memory, spec: CertificateSpec, chosen: Plan, leaf: Leaf | None) -> OrderRequest:
        """The order that was begun, or a new one with a new key; either is remembered before it is made."""
        authority, order = chosen.authority, memory.order
        wanted = Order(authority.directory_url, "", spec.names, "", key_type=spec.key_type, profile=spec.profile)
        if order is None or replace(order, url="", key_pem="") != wanted:
            order = replace(wanted, key_pem=make_key(spec.key_type))
            self._at.store.update(memory.name, order=order)
        replaces = ""
        if leaf and memory.directory_url == authority.directory_url and set(leaf.names) & set(spec.names):
            replaces = self._at.lineages.material(memory.name).leaf_pem
        return OrderRequest(spec, authority, order.key_pem, order_url=order.url, replaces_pem=replaces)

    def _rehearse(self, spec: CertificateSpec, chosen: Plan, job: Job) -> None:
        """After a failure: the staging directory first, whose limits are wide. What it issues is thrown away."""
        job.output.info("The last attempt failed, so the staging directory is asked first")
        request = OrderRequest(spec, chosen.authority, make_key(spec.key_type), staging=True)
        try:
            self._at.authorities.obtain(request, _Unkept(), job.output, job.guard)
        except AcmeFailure as error:
            if error.failure.cause not in _TROUBLES_OF_ITS_OWN:
                raise
            job.output.warn(f"Going on without a rehearsal: {error.message}")
        else:
            job.output.succeed("The staging directory issued a certificate; now the real one")

    def _keep(self, name: str, spec: CertificateSpec, issued: Issued, ask_at: datetime | None) -> int:
        """On disk and read back; only then the order is forgotten. `ask_at`: when to ask for renewal information."""
        at, material = self._at, Material(issued.leaf_pem, issued.chain_pem, issued.key_pem)
        fault = find_fault(material, spec.names, at.now())
        version = 0 if fault else at.lineages.add(name, material)
        if fault := fault or at.lineages.check(name, version):
            words = say("bad_certificate", authority=issued.authority.label, detail=fault)
            raise AcmeFailure(Failure("bad_certificate", *words, detail=fault), "issued")
        failpoints.hit("certificate:written")
        write_renewal(at.lineages.root, name, issued.directory_url, at.webroot)
        at.store.record_issue(issued.directory_url, spec.names, at.now())
        changes = {"order": None, "window": None, "asked_at": None, "revoked_at": None, "refusals": 0}
        at.store.update(name, **changes, ask_at=ask_at, issued_at=at.now(), directory_url=issued.directory_url)
        failpoints.hit("certificate:stored")
        return version

    def rehearse(self, spec: CertificateSpec, job: Job) -> None:
        """A try at the staging directory, whose certificate is thrown away; at that of a test authority that has none.
        Raises AcmeFailure, and what the guard raises."""
        authority = spec.authorities[0]
        staging = bool(authority.staging_directory_url) or not authority.is_test
        request = OrderRequest(spec, authority, make_key(spec.key_type), staging=staging)
        self._at.authorities.obtain(request, _Unkept(), job.output, job.guard)


def _is_wished(leaf: Leaf, memory: Memory, spec: CertificateSpec) -> bool:
    """Whether it is of the kind of key that is wanted now, and of an authority that is asked now. An agent that was
    killed when it had written it down remembers the order only."""
    issuers = {memory.directory_url, memory.order.directory_url if memory.order else ""}
    return leaf.key_type == spec.key_type and not issuers.isdisjoint(each.directory_url for each in spec.authorities)


def _is_early(memory: Memory, leaf: Leaf | None, now: datetime) -> bool:
    """Whether a renewal now is due by renewal information only."""
    window = memory.window
    return bool(leaf and window and window.sha256 == leaf.sha256 and window.chosen <= now < renew_at(leaf, None))


def _is_fresh(leaf: Leaf, now: datetime) -> bool:
    """Whether installing it is worth more than a new one."""
    return leaf.not_after - now > leaf.lifetime / 2
