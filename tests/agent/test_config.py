"""Settings: refused with the variable's name and what to write instead.
May import: agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import AgentConfig, ConfigError


def test_without_any_variable_the_defaults_of_make_run_hold() -> None:
    config = AgentConfig.from_env({})
    assert (config.http_port, config.https_port, config.status_port) == (7880, 7443, 7803)
    assert config.state_dir == Path("var/agent").absolute()
    assert config.letsencrypt_dir == Path("/etc/letsencrypt")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENT_HTTP_PORT", "0"),
        ("AGENT_HTTP_PORT", "65536"),
        ("AGENT_HTTPS_PORT", "x"),
        ("AGENT_STATUS_PORT", "²"),
        ("AGENT_PANEL_URL", "panel.example.com"),
        ("AGENT_PANEL_URL", "file:///etc/passwd"),
        ("AGENT_PANEL_URL", "http://user@panel"),
        ("AGENT_STATE_DIR", '/var/x";'),
        ("AGENT_STATE_DIR", "/var/*"),
        ("AGENT_STATE_DIR", "/var/$x"),
        ("LETSENCRYPT_DIR", "/etc/a\nb"),
        ("AGENT_NGINX_USER", "root; x"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: "):
        AgentConfig.from_env({name: value})


def test_the_token_may_lie_in_a_file_that_comes_later(tmp_path: Path) -> None:
    config = AgentConfig.from_env({"AGENT_JOIN_TOKEN_FILE": str(tmp_path / "token")})
    assert config.read_join_token() == ""
    (tmp_path / "token").write_text("wp1.x.y\n")
    assert config.read_join_token() == "wp1.x.y"
