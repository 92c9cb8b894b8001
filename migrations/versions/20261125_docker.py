"""what agents report of Docker and of upstreams

Revision ID: 6d0c51e7b93a
Revises: 4b7f2a90c6e1
Create Date: 2026-11-24 22:10:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "6d0c51e7b93a"
down_revision = "4b7f2a90c6e1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agent") as batch:
        batch.add_column(sa.Column("docker", sa.JSON(), nullable=False, server_default="{}"))
        batch.add_column(sa.Column("docker_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("upstreams", sa.JSON(), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("upstreams_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("trusts_labels", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("agent") as batch:
        batch.drop_column("trusts_labels")
        batch.drop_column("upstreams_at")
        batch.drop_column("upstreams")
        batch.drop_column("docker_at")
        batch.drop_column("docker")
