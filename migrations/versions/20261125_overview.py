"""Remember for each person that the first steps on the overview were put away.

Revision ID: 2c9d4e0b7f15
Revises: 2c9a7f4be810
"""

import sqlalchemy as sa
from alembic import op

revision = "2c9d4e0b7f15"
down_revision = "2c9a7f4be810"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("user", sa.Column("first_steps_hidden_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("user", "first_steps_hidden_at")
