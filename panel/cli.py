"""Door 4, the terminal: commands for people and agents when no page is at hand.
May import: panel.demo, panel.pki, panel.services, panel.models and below."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from flask_migrate import Migrate

from panel.config import Config
from panel.demo.fleet import PEOPLE, SITES
from panel.demo.keep import keep
from panel.demo.seed import seed
from panel.errors import PanelError
from panel.extensions import db, transaction
from panel.models import Role
from panel.models.types import utcnow
from panel.pki import PkiError, open_authority
from panel.services import accounts, agents, context, invitations, second_factors, setup_links, user_credentials

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

migrate = Migrate(render_as_batch=True)
admin = AppGroup("admin", help="People: who may log in.")
agent = AppGroup("agent", help="Agents: machines with nginx.")
demo_group = AppGroup("demo", help="A believable team, for a panel that nobody uses yet.")

ROLES = click.Choice([role.value for role in Role])
# Asked twice on a terminal; from a pipe the first line counts.
password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


def register(app: Flask) -> None:
    """Adds `flask admin …`, `flask agent …`, `flask demo …` and `flask db …`."""
    migrate.init_app(app, db, directory=str(MIGRATIONS))
    app.cli.add_command(admin)
    app.cli.add_command(agent)
    app.cli.add_command(demo_group)


@admin.command("create-user")
@click.option("--username", required=True)
@click.option("--role", type=ROLES, default=Role.OPERATOR.value, show_default=True)
@password_option
def create_user(username: str, role: str, *, password_stdin: bool) -> None:
    """Adds a person."""
    with _plain_errors():
        credentials = user_credentials.prepare(username, _ask_password(from_stdin=password_stdin))
        with transaction():
            user = accounts.create_user(credentials, Role(role))
            name = user.username
    click.echo(f"{name} may now log in as {role}.")


@admin.command("reset-password")
@click.option("--username", required=True)
@password_option
def reset_password(username: str, *, password_stdin: bool) -> None:
    """Gives a person a new password and ends their sessions."""
    with _plain_errors():
        credentials = user_credentials.prepare(username, _ask_password(from_stdin=password_stdin))
        with transaction():
            name = accounts.reset_password(credentials).username
    click.echo(f"{name} has a new password; every session of theirs has ended.")


@admin.command("set-role")
@click.option("--username", required=True)
@click.option("--role", type=ROLES, required=True)
def set_role(username: str, role: str) -> None:
    """Gives a person another role and ends their sessions."""
    with _plain_errors(), transaction():
        user = accounts.get(username)
        accounts.set_role(user, Role(role))
        name = user.username
    click.echo(f"{name} is now {role}; every session of theirs has ended.")


@admin.command("list-users")
def list_users() -> None:
    """Prints everybody: name, role, active or disabled, second factor."""
    for user in accounts.list_all():
        status = "active" if user.is_active else "disabled"
        click.echo("\t".join((user.username, user.role, status, "second factor" if user.has_second_factor else "-")))


@admin.command("disable-user")
@click.option("--username", required=True)
def disable_user(username: str) -> None:
    """Shuts a person out and ends their sessions."""
    with _plain_errors(), transaction():
        accounts.disable(accounts.get(username))
    click.echo(f"{username} is disabled; every session of theirs has ended.")


@admin.command("enable-user")
@click.option("--username", required=True)
def enable_user(username: str) -> None:
    """Lets a person in again."""
    with _plain_errors(), transaction():
        accounts.enable(accounts.get(username))
    click.echo(f"{username} may log in again.")


@admin.command("reset-second-factor")
@click.option("--username", required=True)
def reset_second_factor(username: str) -> None:
    """Takes a lost second factor away and ends the person's sessions."""
    with _plain_errors(), transaction():
        second_factors.reset(accounts.get(username))
    click.echo(f"{username} logs in with the password alone now; every session of theirs has ended.")


@admin.command("invite")
@click.option("--role", type=ROLES, default=Role.OPERATOR.value, show_default=True)
@click.option("--for", "note", default="", help="For whom it is, as the list of invitations shows it.")
@click.option("--days", type=int, default=invitations.DEFAULT_DAYS, show_default=True)
def invite(role: str, note: str, days: int) -> None:
    """Prints a one-time link that makes a person."""
    with _plain_errors(), transaction():
        _, token = invitations.create(Role(role), note, days, None)
    click.echo(f"{_config().base_url}/invite?{urlencode({'token': token})}")


@admin.command("setup-link")
def setup_link() -> None:
    """Prints the one-time link that makes the first administrator."""
    with _plain_errors(), transaction():
        link = setup_links.ensure(_config())
    if link is None:
        raise click.ClickException(
            "There is an administrator already. Use `flask admin reset-password` for a lost one."
        )
    click.echo(link)


@agent.command("add")
@click.argument("name")
def add_agent(name: str) -> None:
    """Adds an agent and prints its one-time join token, valid for an hour."""
    with _plain_errors():
        open_authority(_config().pki_dir, utcnow())  # the token carries its fingerprint
        with transaction():
            _, token = agents.create(name, None, _config())
    click.echo(token)


@agent.command("list")
def list_agents() -> None:
    """Prints every agent: name, status, nginx, applied revision, id."""
    now = utcnow()
    for each in agents.list_all():
        status = agents.status(each, now, _config())
        row = (each.name, status.value, each.nginx_version or "-", each.short_revision or "-", each.id)
        click.echo("\t".join(row))


@agent.command("revoke")
@click.argument("name")
def revoke_agent(name: str) -> None:
    """Shuts an agent out; a running panel closes its stream within seconds."""
    with _plain_errors(), transaction():
        agents.revoke(agents.find_by_name(name), None)
    click.echo(f"{name} is revoked.")


@demo_group.command("seed")
@click.option("--hosts", type=click.IntRange(min=1, max=10_000), default=len(SITES), help="For measures: so many.")
@password_option
def seed_demo(hosts: int, *, password_stdin: bool) -> None:
    """Fills a fresh panel with a team, agents, hosts, certificates and their history. All of it is made up."""
    password = _ask_password(from_stdin=True) if password_stdin else secrets.token_urlsafe(12)
    with _plain_errors():
        sentence = seed(password, _config(), hosts=hosts)
    click.echo(sentence)
    click.echo("Nothing in it is real, and none of its machines exists. Never use this panel for real hosts.")
    names = ", ".join(f"{name} ({role})" for name, role in PEOPLE)
    click.echo(f"Log in as {names}" + ("." if password_stdin else f" with the password {password}"))
    click.echo("`flask demo keep` lets its agents look alive while it runs.")


@demo_group.command("keep")
def keep_demo() -> None:
    """Gives the agents of a demo signs of life until it is interrupted."""
    with _plain_errors(), suppress(KeyboardInterrupt):
        keep()


def _config() -> Config:
    config: Config = current_app.config["WAYPOST"]
    return config


def _ask_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """What the command changes comes from the terminal; a refusal is a sentence there, not a trace."""
    try:
        with context.coming_from(context.COMMAND_LINE):
            yield
    except PanelError as error:
        raise click.ClickException(error.message) from error
    except PkiError as error:
        raise click.ClickException(str(error)) from error
