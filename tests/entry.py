"""How people come into a panel: an invitation, a second factor, a login in two steps.
May import: tests.person, pyotp."""

from __future__ import annotations

import re
import time

import pyotp

from tests.person import PASSWORD, Person


def invite(administrator: Person, note: str, role: str = "operator") -> str:
    """The link for somebody."""
    administrator.page.goto("/users/invite")
    administrator.page.fill("[name=note]", note)
    administrator.page.select_option("[name=role]", role)
    administrator.button("Create link").click()
    administrator.sees("It works once")
    return administrator.page.locator(".cmd code").inner_text()


def accept(person: Person, link: str, name: str) -> None:
    """Chooses a name and a password, and is logged in by that."""
    person.page.goto(link)
    person.page.fill("[name=username]", name)
    person.page.fill("[name=password]", PASSWORD)
    person.page.fill("[name=repeat]", PASSWORD)
    person.button("Create account").click()
    person.page.wait_for_url(lambda address: "/invite" not in address)


def set_up_second_factor(person: Person) -> tuple[str, list[str]]:
    """The secret of the app and the recovery codes; ends on the page that shows them."""
    person.page.goto("/account")
    person.page.get_by_role("link", name="Set up second factor").click()
    person.page.fill("[name=current]", PASSWORD)
    person.button("Go on").click()
    person.sees("Add Waypost to your app")
    secret = person.page.locator(".cmd code").inner_text().replace(" ", "")
    # The code of half a minute ago is still good, and leaves the one of now for the login: each works once.
    person.page.fill("[name=code]", pyotp.TOTP(secret).generate_otp(int(time.time()) // 30 - 1))
    person.button("Turn on").click()
    person.sees("Keep these recovery codes")
    return secret, person.page.locator(".codes li").all_inner_texts()


def code_of_now(secret: str) -> str:
    """What the app shows."""
    return pyotp.TOTP(secret).now()


def log_in_in_two_steps(person: Person, name: str, code: str, wanted: str = "/") -> None:
    """Asks for a page, is asked who it is, and comes to that page."""
    person.page.goto(wanted)
    person.page.fill("[name=username]", name)
    person.page.fill("[name=password]", PASSWORD)
    person.button("Log in").click()
    person.page.wait_for_url("**/login/code**")
    person.page.fill("[name=code]", code)
    person.button("Log in").click()
    person.page.wait_for_url(re.compile(re.escape(wanted) + "$"))


def log_out(person: Person) -> None:
    """By the menu of the account."""
    person.page.locator(".top details.menu summary").click()
    person.button("Log out").click()
    person.page.wait_for_url("**/login**")
