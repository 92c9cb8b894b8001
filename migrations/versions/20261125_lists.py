"""lists: tags of hosts, when a certificate falls due, indexes for filters and sorting

Revision ID: c41d8e5f2a90
Revises: c7a15e80d2f6
Create Date: 2026-11-25 00:55:12.408112
"""

import sqlalchemy as sa
from alembic import op

revision = "c41d8e5f2a90"
down_revision = "c7a15e80d2f6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host_tag",
        sa.Column("proxy_host_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["proxy_host_id"], ["proxy_host.id"], name=op.f("fk_host_tag_proxy_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("proxy_host_id", "name", name=op.f("pk_host_tag")),
    )
    op.create_index(op.f("ix_host_tag_name"), "host_tag", ["name"])
    op.create_index("ix_proxy_host_deleted_at_changed_at", "proxy_host", ["deleted_at", "changed_at", "id"])
    op.add_column("certificate", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_certificate_due_at", "certificate", ["due_at"])
    op.create_index(op.f("ix_certificate_authority_id"), "certificate", ["authority_id"])
    _fill_due_at()


def _fill_due_at() -> None:
    """A third of the lifetime before the end; databases count with times in ways of their own."""
    moments = {name: sa.Column(name, sa.DateTime(timezone=True)) for name in ("not_before", "not_after", "due_at")}
    certificate = sa.Table("certificate", sa.MetaData(), sa.Column("id", sa.Integer()), *moments.values())
    connection = op.get_bind()
    known = sa.select(certificate).where(certificate.c.not_before.is_not(None), certificate.c.not_after.is_not(None))
    for row in connection.execute(known).all():
        due_at = row.not_after - (row.not_after - row.not_before) / 3
        connection.execute(sa.update(certificate).where(certificate.c.id == row.id).values(due_at=due_at))


def downgrade() -> None:
    op.drop_index(op.f("ix_certificate_authority_id"), table_name="certificate")
    op.drop_index("ix_certificate_due_at", table_name="certificate")
    op.drop_column("certificate", "due_at")
    op.drop_index("ix_proxy_host_deleted_at_changed_at", table_name="proxy_host")
    op.drop_index(op.f("ix_host_tag_name"), table_name="host_tag")
    op.drop_table("host_tag")
