"""Whatever the grammar accepts, nginx reads, and it stands where it belongs and nowhere else."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.nginx.tokens import Directive, parse
from panel.nginx import addresses, grammar, render
from panel.nginx.render import UnsafeValue
from tests.panel.nginx.hosts import OLD, host
from tests.panel.nginx.servers import run_test

# A loaded machine is slow, and nothing here is about time.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ANYTHING = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="aZ09.-_*:;{}$\\\"'#[]/ \n\r\t\0ü\u0430ß。", max_size=40),
    st.from_regex(r"\A(\*\.)?([a-zA-Z0-9üß_-]{1,12}\.){0,4}[a-z0-9]{1,12}\.?\Z"),
    st.ip_addresses().map(str),
)


@PATIENT
@given(ANYTHING)
@example("\u212a.example")
@example("ⅷ.example")
def test_an_accepted_name_is_already_in_its_last_spelling(text: str) -> None:
    try:
        name = grammar.parse_domain_name(text)
    except ValueError:
        return
    assert grammar.parse_domain_name(name) == name
    assert grammar.parse_domain_name(grammar.display_name(name)) == name
    assert name.isascii()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-*")


@PATIENT
@given(ANYTHING)
def test_an_accepted_upstream_is_already_in_its_last_spelling(text: str) -> None:
    try:
        accepted = grammar.parse_forward_host(text)
    except ValueError:
        return
    assert grammar.parse_forward_host(accepted) == accepted
    assert set(accepted) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_:")


@PATIENT
@given(names=st.lists(ANYTHING, min_size=1, max_size=3), upstream=ANYTHING, port=st.integers(-1, 70000))
def test_what_the_grammar_refuses_the_renderer_refuses(names: list[str], upstream: str, port: int) -> None:
    subject = host(domain_names=names, forward_host=upstream, forward_port=port)
    is_accepted = all(
        _is_last_spelling(check, value)
        for check, value in (
            (lambda v: list(grammar.parse_domain_names(v)), names),
            (grammar.parse_forward_host, upstream),
            (grammar.parse_port, port),
        )
    )
    try:
        render.render_host(subject, OLD)
    except UnsafeValue:
        assert not is_accepted
    else:
        assert is_accepted


LABELS = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\Z").filter(lambda label: not label.startswith("xn--"))
NAMES = st.builds(
    lambda star, labels: ("*." if star else "") + ".".join([*labels, "example"]),
    st.booleans(),
    st.lists(LABELS, min_size=1, max_size=4),
)
UPSTREAMS = st.one_of(
    st.lists(st.from_regex(r"\A[a-z0-9_]{1,15}\Z"), min_size=1, max_size=3).map(".".join),
    st.ip_addresses().map(str),
    st.from_regex(r"\A[a-z]{1,5}_[0-9]\Z"),
).filter(lambda text: text != "localhost" and _is_last_spelling(grammar.parse_forward_host, text))


@settings(PATIENT, max_examples=40)
@given(
    names=st.lists(NAMES, min_size=1, max_size=5, unique=True),
    scheme=st.sampled_from(["http", "https"]),
    upstream=UPSTREAMS,
    port=st.integers(1, 65535),
    websocket=st.booleans(),
)
def test_nginx_reads_every_accepted_host_and_each_value_stands_in_its_place(
    names: list[str], scheme: str, upstream: str, port: int, websocket: bool
) -> None:
    subject = host(
        domain_names=names, forward_scheme=scheme, forward_host=upstream, forward_port=port, websocket=websocket
    )
    with TemporaryDirectory() as folder:
        assert run_test(Path(folder), render.render_bundle([subject], OLD)) == ""
    tree = parse(render.render_host(subject, OLD).text)
    shape = parse(
        render.render_host(host(forward_scheme=scheme, forward_host=_like(upstream), websocket=websocket), OLD).text
    )
    assert _skeleton(tree) == _skeleton(shape)
    server = tree[-1].block
    assert server is not None
    assert next(d.args for d in server if d.name == "server_name") == tuple(names)
    assert _upstream_of(tree) == (scheme, f"[{upstream}]" if ":" in upstream else upstream, str(port))


def _is_last_spelling(check: object, value: object) -> bool:
    try:
        return bool(check(value) == value)  # type: ignore[operator]
    except ValueError:
        return False


def _like(upstream: str) -> str:
    """An upstream of the same sort, whose file has the same shape."""
    is_address = ":" in upstream or addresses.is_numeric(upstream)
    return "10.0.0.9" if is_address else "other"


def _skeleton(directives: list[Directive]) -> list[object]:
    return [(d.name, None if d.block is None else _skeleton(d.block)) for d in directives]


def _upstream_of(tree: list[Directive]) -> tuple[str, str, str]:
    """Scheme, host and port as nginx would read them."""
    server = tree[-1].block or []
    root = [d for d in server if d.name == "location"][-1].block or []
    proxy_pass = next(d.args[0] for d in root if d.name == "proxy_pass")
    scheme, _, rest = proxy_pass.partition("://")
    if tree[0].name == "upstream":
        assert rest == tree[0].args[0] == "waypost_12"
        address = next(d.args[0] for d in tree[0].block or [] if d.name == "server")
        host_part, _, port = address.rpartition(":")
        return scheme, host_part, port
    host_part = next(d.args[1] for d in root if d.name == "set")
    variable, _, port = rest.rpartition(":")
    assert variable == "$upstream_host"
    return scheme, host_part, port
