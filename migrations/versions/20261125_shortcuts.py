"""shortcuts: a switch of each person's own

Revision ID: c7a15e80d2f6
Revises: 2c9d4e0b7f15, c41d8e5f2a90
Create Date: 2026-11-25 01:08:31.402117
"""

import sqlalchemy as sa
from alembic import op

revision = "c7a15e80d2f6"
down_revision = ("2c9d4e0b7f15", "c41d8e5f2a90")
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in a batch: SQLite would build the table anew, and events that name a person forbid to drop the old one.
    op.add_column("user", sa.Column("has_shortcuts", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    op.drop_column("user", "has_shortcuts")
