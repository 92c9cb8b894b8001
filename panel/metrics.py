"""What operators watch: counters and times of this process, as Prometheus reads them.
May import: prometheus_client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

registry = CollectorRegistry()
ProcessCollector(registry=registry)

_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)  # seconds
_LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)  # seconds


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"waypost_{name}", text, labels, registry=registry)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"waypost_{name}", text, labels, registry=registry)


def _times(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SHORT) -> Histogram:
    return Histogram(f"waypost_{name}_seconds", text, labels, buckets=buckets, registry=registry)


commands_ended = _counter("commands_ended", "Commands that ended, by kind and result", "kind", "result")
command_wait = _times("command_wait", "From the time a command is due until it is sent", "kind", buckets=_LONG)
command_run = _times("command_run", "From sending a command to the end of it", "kind", buckets=_LONG)
stages = _times("stage", "What each stage of a command took, by the agent's clock", "kind", "stage", buckets=_LONG)
commands_open = _gauge("commands_open", "Commands without a result", "kind", "state")

agents = _gauge("agents", "Agents by what people see of them", "status")
sessions = _gauge("agent_sessions", "Open streams of agents")
sessions_opened = _counter("agent_sessions_opened", "Streams of agents that were opened")
reconnects = _counter("agent_reconnects", "Streams of agents that had been connected before")
sessions_closed = _counter("agent_sessions_closed", "Streams of agents that the panel closed", "reason")

certificates = _gauge("certificates", "Certificates by what people see of them", "state")
certificate_days_left = _gauge("certificate_days_left", "Days until the first certificate in use ends; NaN for none")

browser_streams = _gauge("browser_streams", "Open live pages")
browser_streams_ended = _counter("browser_streams_ended", "Live pages that ended: over, gone, slow or refused", "how")
request_time = _times("request", "From a request to the head of its answer", "method", "route", "status")

hub_lag = _times("hub_lag", "How late the process is with what is due: something kept it busy")
lock_wait = _times("write_lock_wait", "Waiting for one's turn to write to the database")
transaction_time = _times("transaction", "Transactions, from their turn to the commit")
hashing = _gauge("hashing_queue", "Passwords that are hashed or wait for it")
hashing_time = _times("hashing", "Hashing a password, waiting included", buckets=_LONG)
