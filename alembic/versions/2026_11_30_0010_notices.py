"""Single sign-on, known browsers, a required second factor; letters; notices; months whose statements are ready.

Revision: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("credentials") as credentials:
        credentials.alter_column("password_hash", existing_type=sa.String(length=200), nullable=True)
        credentials.alter_column("password_set_at", existing_type=sa.DateTime(timezone=True), nullable=True)
    with op.batch_alter_table("web_sessions") as sessions:
        sessions.add_column(sa.Column("vouched", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("web_sessions") as sessions:
        sessions.alter_column("vouched", existing_type=sa.Boolean(), server_default=None)
    op.create_table(
        "external_identities",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("provider", sa.String(length=30), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_external_identities_user_id_users")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_external_identities")),
        sa.UniqueConstraint("user_id", "provider", name=op.f("uq_external_identities_user_id_provider")),
    )
    op.create_table(
        "sso_attempts",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("browser", sa.LargeBinary(length=32), nullable=False),
        sa.Column("provider", sa.String(length=30), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sso_attempts")),
    )
    op.create_index(op.f("ix_sso_attempts_expires_at"), "sso_attempts", ["expires_at"], unique=False)
    op.create_table(
        "known_devices",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_known_devices_user_id_users")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_known_devices")),
    )
    op.create_index(op.f("ix_known_devices_user_id"), "known_devices", ["user_id"], unique=False)
    op.create_index(op.f("ix_known_devices_seen_at"), "known_devices", ["seen_at"], unique=False)
    op.create_table(
        "signin_policies",
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_signin_policies_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_signin_policies")),
    )
    op.create_table(
        "mail_messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=True),
        sa.Column("scope", sa.String(length=40), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(length=12), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mail_messages_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_messages")),
    )
    op.create_index("ix_mail_messages_due", "mail_messages", ["state", "due_at"], unique=False)
    op.create_index(op.f("ix_mail_messages_user_id"), "mail_messages", ["user_id"], unique=False)
    op.create_index(op.f("ix_mail_messages_finished_at"), "mail_messages", ["finished_at"], unique=False)
    op.create_table(
        "notice_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_state")),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=24), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=True),
        sa.Column("scope", sa.String(length=40), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("once", sa.String(length=160), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_notices_organisation_id_organisations")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notices_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("once", name=op.f("uq_notices_once")),
    )
    op.create_index("ix_notices_listed", "notices", ["organisation_id", "number"], unique=False)
    op.create_index(op.f("ix_notices_at"), "notices", ["at"], unique=False)
    op.create_table(
        "notice_reads",
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("notice_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notice_reads_user_id_users")),
        sa.ForeignKeyConstraint(
            ["notice_id"],
            ["notices.id"],
            name=op.f("fk_notice_reads_notice_id_notices"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "notice_id", name=op.f("pk_notice_reads")),
    )
    op.create_index(op.f("ix_notice_reads_notice_id"), "notice_reads", ["notice_id"], unique=False)
    op.create_table(
        "notice_readers",
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("read_through", sa.BigInteger(), nullable=False),
        sa.Column("hidden", sa.JSON(), nullable=False),
        sa.Column("mailed", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_notice_readers_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notice_readers")),
    )
    op.create_table(
        "statement_months",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_statement_months")),
    )


def downgrade() -> None:
    for table in (
        "statement_months",
        "notice_readers",
        "notice_reads",
        "notices",
        "notice_state",
        "mail_messages",
        "signin_policies",
        "known_devices",
        "sso_attempts",
        "external_identities",
    ):
        op.drop_table(table)
    with op.batch_alter_table("web_sessions") as sessions:
        sessions.drop_column("vouched")
    # Who never had a password gets a text that no password fits.
    op.execute(
        "UPDATE credentials SET password_hash = 'none', password_set_at = CURRENT_TIMESTAMP WHERE password_hash IS NULL"
    )
    with op.batch_alter_table("credentials") as credentials:
        credentials.alter_column("password_hash", existing_type=sa.String(length=200), nullable=False)
        credentials.alter_column("password_set_at", existing_type=sa.DateTime(timezone=True), nullable=False)
