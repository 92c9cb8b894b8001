"""A person at the panel without a browser: opens pages, fills the forms that are on them, and follows where they lead.
May import: requests, bs4, tests.product."""

from __future__ import annotations

from typing import Any

import requests
from bs4 import BeautifulSoup, Tag

from tests.product import wait_until

NAME, PASSWORD = "ada", "four words in a row"


class Visitor:
    """One session."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self.page = BeautifulSoup("", "html.parser")
        self.at = ""

    def close(self) -> None:
        """Ends the connections."""
        self._session.close()

    @property
    def text(self) -> str:
        """What the page says, as one line."""
        return " ".join(self.page.get_text(" ").split())

    def open(self, path: str, **query: str) -> Visitor:
        """Goes to a page. Raises AssertionError for one that is not there."""
        return self._take(self._session.get(f"{self.url}{path}", params=query, timeout=20))

    def submit(self, action: str, button: str = "", **fields: str) -> Visitor:
        """Sends the form that leads to `action` (a part of its address) with some fields filled in."""
        form = next((form for form in self.page.find_all("form") if action in str(form.get("action", ""))), None)
        assert isinstance(form, Tag), f"no form for {action}: {self.text[:2000]}"
        return self.send(form, button, **fields)

    def send(self, form: Tag, button: str = "", **fields: str) -> Visitor:
        """The same with a form of this page."""
        values = _values(form) | fields
        if button:
            name, _, value = button.partition("=")
            values[name] = value
        target = str(form.get("action") or self.at)
        return self._take(self._session.post(f"{self.url}{target}", data=values, timeout=30))

    def until(self, path: str, *words: str, seconds: float = 60.0) -> Visitor:
        """Looks at a page until it says all of this; a panel that is starting is waited for."""

        def says() -> bool:
            try:
                self.open(path)
            except requests.ConnectionError:
                return False
            return all(word in self.text for word in words)

        try:
            wait_until(says, f"{path} says {words}", seconds)
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.text[:4000]}") from error
        return self

    def row(self, word: str) -> Tag:
        """The row of a table that has this word; an empty one when there is none."""
        found = (row for row in self.page.find_all("tr") if word in row.get_text())
        return next((row for row in found if isinstance(row, Tag)), Tag(name="tr"))

    def _take(self, answer: requests.Response) -> Visitor:
        self.page = BeautifulSoup(answer.text, "html.parser")
        assert answer.status_code < 400, f"{answer.url}: {answer.status_code} {self.text[:3000]}"
        self.at = answer.url.removeprefix(self.url)
        return self


def _values(form: Tag) -> dict[str, Any]:
    """What a browser would send of a form that nobody touched; without its buttons."""
    values: dict[str, Any] = {}
    for one in form.find_all(["input", "select", "textarea"]):
        name = str(one.get("name", ""))
        kind = str(one.get("type", ""))
        if not name or one.has_attr("disabled") or kind in {"submit", "button"}:
            continue
        if kind in {"checkbox", "radio"} and not one.has_attr("checked"):
            continue
        values[name] = _value(one)
    return values


def _value(one: Tag) -> str:
    if one.name == "textarea":
        return one.get_text()
    if one.name == "select":
        options = one.find_all("option")
        chosen = next((option for option in options if option.has_attr("selected")), options[0] if options else None)
        return str(chosen.get("value", "")) if chosen else ""
    return str(one.get("value", "on" if one.get("type") == "checkbox" else ""))
