"""why the panel lets an agent not in, and which processes held its stream

Revision ID: 9c1e7d3a40f2
Revises: 8f1c0d6a2b57
Create Date: 2026-11-23 11:55:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "9c1e7d3a40f2"
down_revision = "8f1c0d6a2b57"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agent") as batch:
        batch.add_column(sa.Column("boots", sa.JSON(), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("refused_because", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("agent") as batch:
        batch.drop_column("refused_because")
        batch.drop_column("boots")
