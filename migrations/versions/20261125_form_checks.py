"""indexes for what forms ask, and for lists of jobs without it

Revision ID: c41e8b07d2f9
Revises: c41d8e5f2a90
Create Date: 2026-11-25 10:40:02.310874
"""

from alembic import op

revision = "c41e8b07d2f9"
down_revision = "c41d8e5f2a90"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_command_agent_id_state", table_name="command")
    op.drop_index("ix_command_state", table_name="command")
    op.create_index("ix_command_agent_id_state_kind", "command", ["agent_id", "state", "kind"])
    op.create_index("ix_command_state_kind", "command", ["state", "kind"])
    op.create_index("ix_command_kind_created_at", "command", ["kind", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_command_kind_created_at", table_name="command")
    op.drop_index("ix_command_state_kind", table_name="command")
    op.drop_index("ix_command_agent_id_state_kind", table_name="command")
    op.create_index("ix_command_state", "command", ["state"])
    op.create_index("ix_command_agent_id_state", "command", ["agent_id", "state"])
