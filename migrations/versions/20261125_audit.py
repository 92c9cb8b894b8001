"""the audit log: where a change came from, and indexes for what it is filtered by

Revision ID: 2c9a7f4be810
Revises: 8e2d41c7a905
Create Date: 2026-11-25 01:00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "2c9a7f4be810"
down_revision = "8e2d41c7a905"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("origin", sa.String(length=80), nullable=False, server_default="panel"))
    op.create_index("ix_event_actor_id", "event", ["actor_id"])
    op.create_index("ix_event_verb", "event", ["verb"])
    op.create_index("ix_event_at", "event", ["at"])


def downgrade() -> None:
    op.drop_index("ix_event_at", table_name="event")
    op.drop_index("ix_event_verb", table_name="event")
    op.drop_index("ix_event_actor_id", table_name="event")
    op.drop_column("event", "origin")
