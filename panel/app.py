"""Assembles the Flask application: a list of calls. Starts no server and touches no table.
May import: everything in panel except panel.serve and panel.cli."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from flask import Flask

import panel.models  # noqa: F401 - the database knows every table
from panel import i18n, web
from panel.config import Config
from panel.extensions import csrf, db, login_manager

ROOT = Path(__file__).resolve().parent.parent


def create_app(config: Config) -> Flask:
    """The application for one configuration, which doors find in `app.config["WAYPOST"]`."""
    app = Flask("panel", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    app.config.update(_flask_settings(config))
    config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    db.init_app(app)
    login_manager.init_app(app)
    csrf.init_app(app)
    i18n.register(app)
    web.register(app)
    return app


def _flask_settings(config: Config) -> dict[str, object]:
    return {
        "WAYPOST": config,
        "SECRET_KEY": config.secret_key,
        "SQLALCHEMY_DATABASE_URI": config.database_url,
        # A page that waits for an agent keeps its connection; the default of 5 would make the others queue.
        "SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": 20, "max_overflow": 30},
        "SESSION_COOKIE_NAME": "waypost",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": config.secure_cookies,
        "PERMANENT_SESSION_LIFETIME": timedelta(days=14),
        "MAX_CONTENT_LENGTH": 1 << 20,
        "WTF_CSRF_TIME_LIMIT": None,  # a form may stay open over lunch; the token ends with the session
    }
