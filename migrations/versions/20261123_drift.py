"""files that somebody changed by hand on an agent's machine

Revision ID: 3f6b9d2e71ac
Revises: 9c1e7d3a40f2
Create Date: 2026-11-23 12:25:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "3f6b9d2e71ac"
down_revision = "9c1e7d3a40f2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agent") as batch:
        batch.add_column(sa.Column("drift", sa.JSON(), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("drift_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("heals_drift", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("drift_healed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("agent") as batch:
        batch.drop_column("drift_healed_at")
        batch.drop_column("heals_drift")
        batch.drop_column("drift_at")
        batch.drop_column("drift")
