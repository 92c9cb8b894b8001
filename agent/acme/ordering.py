"""Orders one certificate and writes it down, whatever was begun before.
May import: agent.errors, agent.failpoints and the parts of agent.acme below agent.acme.attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from agent import failpoints
from agent.acme.causes import say
from agent.acme.certbot import write_renewal
from agent.acme.engine import Engine, Job
from agent.acme.leaf import Leaf, Material, find_fault, make_key, read_leaf
from agent.acme.order import OrderRequest
from agent.acme.schedule import Plan, plan
from agent.acme.spec import AcmeFailure, CertificateSpec, Failure, Issued
from agent.acme.state import Memory, Order
from agent.acme.store import Store
from agent.errors import AgentError


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
            if find_fault(material, memory.spec.names, at.now()) or not _is_fresh(
                read_leaf(material.leaf_pem), at.now()
            ):
                return 0
        except (OSError, ValueError):
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
        if job.is_own and spec.dns and spec.dns.provider == "manual":
            words = "A DNS record must be added by hand for this certificate."
            raise AcmeFailure(Failure("record_not_seen", words, "Renew it yourself and add the record that is shown."))
        leaf = at.lineages.look(name).leaf
        chosen = plan(memory, leaf, at.now())
        if chosen.staging_first and not memory.order:
            self._rehearse(spec, chosen, job)
        issued = at.authorities.obtain(
            self._request(memory, spec, chosen, leaf), _Log(at.store, name), job.output, job.guard
        )
        failpoints.hit("certificate:obtained")
        return self._keep(name, spec, issued)

    def _request(self, memory: Memory, spec: CertificateSpec, chosen: Plan, leaf: Leaf | None) -> OrderRequest:
        """The order that was begun, or a new one with a new key; either is remembered before it is made."""
        authority, order = chosen.authority, memory.order
        fits = order and order.directory_url == authority.directory_url and order.names == spec.names
        if not order or not fits:
            order = Order(authority.directory_url, "", spec.names, make_key(spec.key_type))
            self._at.store.update(memory.name, order=order)
        replaces = ""
        if leaf and memory.directory_url == authority.directory_url and set(leaf.names) & set(spec.names):
            replaces = self._at.lineages.material(memory.name).leaf_pem
        return OrderRequest(spec, authority, order.key_pem, order_url=order.url, replaces_pem=replaces)

    def _rehearse(self, spec: CertificateSpec, chosen: Plan, job: Job) -> None:
        """After a failure: the staging directory first, whose limits are wide. What it issues is thrown away."""
        job.output.info("The last attempt failed, so the staging directory is asked first")
        request = OrderRequest(spec, chosen.authority, make_key(spec.key_type), staging=True)
        self._at.authorities.obtain(request, _Unkept(), job.output, job.guard)
        job.output.succeed("The staging directory issued a certificate; now the real one")

    def _keep(self, name: str, spec: CertificateSpec, issued: Issued) -> int:
        """On disk and read back; only then the order is forgotten."""
        at, material = self._at, Material(issued.leaf_pem, issued.chain_pem, issued.key_pem)
        fault = find_fault(material, spec.names, at.now())
        version = 0 if fault else at.lineages.add(name, material)
        if fault := fault or at.lineages.check(name, version):
            words = say("bad_certificate", authority=issued.authority.label, detail=fault)
            raise AcmeFailure(Failure("bad_certificate", *words, detail=fault), "issued")
        failpoints.hit("certificate:written")
        write_renewal(at.lineages.root, name, issued.directory_url, at.webroot)
        at.store.record_issue(issued.directory_url, spec.names, at.now())
        changes = {"order": None, "window": None, "asked_at": None, "ask_at": None, "revoked_at": None, "refusals": 0}
        at.store.update(name, **changes, issued_at=at.now(), directory_url=issued.directory_url)
        failpoints.hit("certificate:stored")
        return version

    def rehearse(self, spec: CertificateSpec, job: Job) -> None:
        """A try at the staging directory, whose certificate is thrown away; at that of a test authority that has none.
        Raises AcmeFailure, and what the guard raises."""
        authority = spec.authorities[0]
        staging = bool(authority.staging_directory_url) or not authority.is_test
        request = OrderRequest(spec, authority, make_key(spec.key_type), staging=staging)
        self._at.authorities.obtain(request, _Unkept(), job.output, job.guard)


def _is_fresh(leaf: Leaf, now: datetime) -> bool:
    """Whether installing it is worth more than a new one."""
    return leaf.not_after - now > leaf.lifetime / 2
