"""certificates, authorities, DNS credentials, notifications

Revision ID: 4b7f2a90c6e1
Revises: 3f6b9d2e71ac
Create Date: 2026-11-24 21:23:07.411555
"""

import sqlalchemy as sa
from alembic import op

revision = "4b7f2a90c6e1"
down_revision = "3f6b9d2e71ac"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "acme_authority",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("directory_url", sa.String(length=255), nullable=False),
        sa.Column("staging_directory_url", sa.String(length=255), nullable=False),
        sa.Column("ca_pem", sa.Text(), nullable=False),
        sa.Column("email", sa.String(length=253), nullable=False),
        sa.Column("eab_kid", sa.String(length=255), nullable=False),
        sa.Column("eab_key_sealed", sa.Text(), nullable=False),
        sa.Column("needs_eab", sa.Boolean(), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("dns_server", sa.String(length=64), nullable=False),
        sa.Column("is_builtin", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("fallback_position", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acme_authority")),
        sa.UniqueConstraint("name", name=op.f("uq_acme_authority_name")),
    )
    op.create_table(
        "dns_credential",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("sealed_fields", sa.Text(), nullable=False),
        sa.Column("zone", sa.String(length=253), nullable=False),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_error", sa.Text(), nullable=False),
        sa.Column("test_command_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dns_credential")),
        sa.UniqueConstraint("name", name=op.f("uq_dns_credential_name")),
    )
    op.create_table(
        "notification_channel",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sealed_settings", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("last_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_channel")),
        sa.UniqueConstraint("name", name=op.f("uq_notification_channel_name")),
    )
    op.create_table(
        "uploaded_key",
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("command_id", name=op.f("pk_uploaded_key")),
    )
    op.create_table(
        "certificate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("domain_names", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("authority_id", sa.Integer(), nullable=True),
        sa.Column("challenge", sa.String(length=16), nullable=False),
        sa.Column("dns_credential_id", sa.Integer(), nullable=True),
        sa.Column("propagation_seconds", sa.Integer(), nullable=False),
        sa.Column("key_type", sa.String(length=16), nullable=False),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_present", sa.Boolean(), nullable=False),
        sa.Column("is_served", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("reported_names", sa.JSON(), nullable=False),
        sa.Column("reported_key_type", sa.String(length=16), nullable=False),
        sa.Column("issued_by_url", sa.String(length=255), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("chain_path", sa.String(length=512), nullable=False),
        sa.Column("key_path", sa.String(length=512), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_action", sa.String(length=16), nullable=False),
        sa.Column("next_action_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_url", sa.String(length=255), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure", sa.JSON(), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_certificate_agent_id")),
        sa.ForeignKeyConstraint(["authority_id"], ["acme_authority.id"], name=op.f("fk_certificate_authority_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["user.id"], name=op.f("fk_certificate_created_by_id")),
        sa.ForeignKeyConstraint(
            ["dns_credential_id"], ["dns_credential.id"], name=op.f("fk_certificate_dns_credential_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
    )
    with op.batch_alter_table("certificate", schema=None) as batch_op:
        batch_op.create_index("ix_certificate_agent_id_name", ["agent_id", "name"], unique=True)
        batch_op.create_index("ix_certificate_not_after", ["not_after"], unique=False)

    op.create_table(
        "notification",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("url", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["notification_channel.id"], name=op.f("fk_notification_channel_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
    )
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.create_index("ix_notification_channel_id_key", ["channel_id", "key"], unique=True)
        batch_op.create_index("ix_notification_next_attempt_at", ["next_attempt_at"], unique=False)

    with op.batch_alter_table("agent", schema=None) as batch_op:
        batch_op.add_column(sa.Column("dns_providers", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("letsencrypt_dir", sa.String(length=512), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("certificates_problem", sa.Text(), nullable=False, server_default=""))

    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.add_column(sa.Column("certificate_id", sa.Integer(), nullable=True))
        batch_op.alter_column(
            "resource", existing_type=sa.VARCHAR(length=64), type_=sa.String(length=255), existing_nullable=False
        )
        batch_op.create_index(batch_op.f("ix_command_certificate_id"), ["certificate_id"], unique=False)

    with op.batch_alter_table("proxy_host", schema=None) as batch_op:
        batch_op.add_column(sa.Column("certificate_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("force_ssl", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("hsts", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("http2", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch_op.create_index(batch_op.f("ix_proxy_host_certificate_id"), ["certificate_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_proxy_host_certificate_id"), "certificate", ["certificate_id"], ["id"]
        )

    _leave_manifests_to_revisions()


def _leave_manifests_to_revisions() -> None:
    """A command held a copy of its revision's manifest, 100 KB at a thousand hosts, for ever."""
    command = sa.table("command", sa.column("id", sa.String), sa.column("payload", sa.JSON))
    connection = op.get_bind()
    for command_id in connection.scalars(sa.select(command.c.id)).all():
        payload = connection.scalar(sa.select(command.c.payload).where(command.c.id == command_id)) or {}
        if "manifest" in payload:
            payload["files"] = len(payload.pop("manifest"))
            connection.execute(sa.update(command).where(command.c.id == command_id).values(payload=payload))


def downgrade() -> None:
    with op.batch_alter_table("proxy_host", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_proxy_host_certificate_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_proxy_host_certificate_id"))
        batch_op.drop_column("http2")
        batch_op.drop_column("hsts")
        batch_op.drop_column("force_ssl")
        batch_op.drop_column("certificate_id")

    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_command_certificate_id"))
        batch_op.alter_column(
            "resource", existing_type=sa.String(length=255), type_=sa.VARCHAR(length=64), existing_nullable=False
        )
        batch_op.drop_column("certificate_id")

    with op.batch_alter_table("agent", schema=None) as batch_op:
        batch_op.drop_column("certificates_problem")
        batch_op.drop_column("letsencrypt_dir")
        batch_op.drop_column("dns_providers")

    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.drop_index("ix_notification_next_attempt_at")
        batch_op.drop_index("ix_notification_channel_id_key")

    op.drop_table("notification")
    with op.batch_alter_table("certificate", schema=None) as batch_op:
        batch_op.drop_index("ix_certificate_not_after")
        batch_op.drop_index("ix_certificate_agent_id_name")

    op.drop_table("certificate")
    op.drop_table("uploaded_key")
    op.drop_table("notification_channel")
    op.drop_table("dns_credential")
    op.drop_table("acme_authority")
