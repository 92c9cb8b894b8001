"""Apprise against a real web server: what arrives, and in which words a refusal comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from panel.errors import Invalid
from panel.notifiers import apprise_url
from panel.notifiers.delivery import deliver
from panel.notifiers.notifier import Message, NotifierError
from tests.panel.notifiers.far_side import Hook, running_hook
from tests.product import free_ports

MESSAGE = Message("Certificate app.example.com could not be renewed", "What happened: {{ it }} failed.", "error", "x")
TOKEN = "tok3n-tok3n-tok3n"


@pytest.fixture(scope="module")
def server() -> Iterator[Hook]:
    with running_hook() as hook:
        yield hook


@pytest.fixture
def hook(server: Hook) -> Hook:
    server.status, server.location = 200, ""
    server.requests.clear()
    return server


def send(url: str, timeout: int = 30) -> str:
    return deliver("apprise", {"url": url}, MESSAGE, timeout)


def test_a_webhook_gets_the_message(hook: Hook) -> None:
    assert send(f"json://127.0.0.1:{hook.port}/hooks/{TOKEN}") == ""
    [(path, body)] = hook.requests
    assert path == f"/hooks/{TOKEN}"
    told = json.loads(body)
    assert (told["title"], told["message"], told["type"]) == (MESSAGE.subject, MESSAGE.text, "failure")


def test_ntfy_gets_the_message(hook: Hook) -> None:
    assert send(f"ntfy://127.0.0.1:{hook.port}/alerts") == ""
    told = json.loads(hook.requests[0][1])
    assert (told["topic"], told["title"], told["message"]) == ("alerts", MESSAGE.subject, MESSAGE.text)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "Copy the URL anew"),
        (403, "Copy the URL anew"),
        (404, "a webhook that was deleted needs a new one"),
        (429, "no more messages for the moment"),
        (418, r"did not take the message \(418\)"),
        (503, r"has a problem of its own \(503\)"),
    ],
)
def test_each_answer_has_its_words_and_no_token(hook: Hook, status: int, words: str) -> None:
    hook.status = status
    with pytest.raises(NotifierError, match=words) as caught:
        send(f"json://user:{TOKEN}@127.0.0.1:{hook.port}/{TOKEN}")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("parameters", ["", "?redirect=yes"])
def test_a_redirect_is_not_followed_whatever_the_url_says(hook: Hook, parameters: str) -> None:
    hook.status, hook.location = 307, "/elsewhere"
    with pytest.raises(NotifierError, match=r"redirect \(307\), which is not followed"):
        send(f"json://127.0.0.1:{hook.port}/hook{parameters}")
    assert [path.partition("?")[0] for path, _body in hook.requests] == ["/hook"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"json://127.0.0.1:{free_ports(1)[0]}/{TOKEN}", "nothing listens there"),
        (f"json://nowhere.invalid/{TOKEN}", "its name was not found"),
        (f"nonsense://{TOKEN}", "does not understand this URL"),
        ("tgram://short", "does not understand this URL"),
    ],
)
def test_what_cannot_be_reached_or_read(url: str, words: str) -> None:
    with pytest.raises(NotifierError, match=words) as caught:
        send(url)
    assert TOKEN not in str(caught.value)


def test_http_where_https_is_meant(hook: Hook) -> None:
    with pytest.raises(NotifierError, match="no encrypted connection came about"):
        send(f"jsons://127.0.0.1:{hook.port}/{TOKEN}")


def test_a_far_side_that_does_not_answer_is_given_up_in_time(hook: Hook) -> None:
    hook.may_answer.clear()
    try:
        with pytest.raises(NotifierError, match="No answer came within 2 seconds"):
            send(f"json://127.0.0.1:{hook.port}/slow", timeout=2)
    finally:
        hook.may_answer.set()


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"]
)
def test_the_machines_own_network_services_are_not_asked(host: str) -> None:
    with pytest.raises(NotifierError, match=r"nothing is sent there|does not understand"):
        send(f"json://{host}/latest/meta-data")


@pytest.mark.parametrize(
    "url",
    [
        "vapid://ops@example.com/eve@example.com?keyfile=/etc/passwd&subfile=/etc/passwd",
        "workflows://example.com/abc/def?template=/etc/passwd",
    ],
)
def test_no_file_of_this_machine_is_read(url: str) -> None:
    with pytest.raises(NotifierError, match="none is read or written"):
        send(url)


@pytest.mark.parametrize("schema", sorted(apprise_url.LOCAL))
def test_what_stays_on_this_machine_is_refused_by_form_and_sender(schema: str) -> None:
    with pytest.raises(Invalid, match="does not reach another machine") as caught:
        apprise_url.check({"url": f"{schema.upper()}://localhost"})
    assert caught.value.field == "url"


def test_the_sender_refuses_it_too() -> None:
    with pytest.raises(NotifierError, match="does not reach another machine"):
        send("syslog://")


@pytest.mark.parametrize("url", ["", "example.com", "json://", "json://a b", "json://a\nb", "json://" + "a" * 2000])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        apprise_url.check({"url": url})


def test_a_summary_shows_no_part_of_the_url_but_its_schema() -> None:
    assert apprise_url.summarize({"url": f"tgram://{TOKEN}/{TOKEN}"}) == "tgram://…"
