"""indexes for what is asked of commands each second and on each page

Revision ID: 8f1c0d6a2b57
Revises: 5235c4b2b66b
Create Date: 2026-11-23 11:52:00
"""

from alembic import op

revision = "8f1c0d6a2b57"
down_revision = "5235c4b2b66b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_command_state", "command", ["state"])
    op.create_index("ix_command_created_at", "command", ["created_at", "seq"])
    op.create_index("ix_command_agent_id_finished_at", "command", ["agent_id", "finished_at"])


def downgrade() -> None:
    op.drop_index("ix_command_agent_id_finished_at", table_name="command")
    op.drop_index("ix_command_created_at", table_name="command")
    op.drop_index("ix_command_state", table_name="command")
