"""Changes of consents of every kind, with their terms and the overlay of a version beside them.

Revision: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Segments of before hold withdrawals alone.
    op.add_column("consent_epochs", sa.Column("role", sa.Integer(), server_default="14", nullable=False))
    op.add_column(
        "consent_epochs", sa.Column("has_ends", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("consent_epochs", sa.Column("overlay_version_id", sa.String(length=40), nullable=True))
    op.add_column(
        "consent_epochs",
        sa.Column("overlay_is_full", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_table(
        "consent_files",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("epoch_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("column", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(length=32), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("ciphertext_sha256", sa.String(length=64), nullable=False),
        sa.Column("object_key", sa.String(length=160), nullable=False),
        sa.ForeignKeyConstraint(
            ["epoch_id"], ["consent_epochs.id"], name=op.f("fk_consent_files_epoch_id_consent_epochs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_files")),
        sa.UniqueConstraint("epoch_id", "role", "column", name=op.f("uq_consent_files_epoch_id_role_column")),
        sa.UniqueConstraint("object_key", name=op.f("uq_consent_files_object_key")),
    )
    op.create_table(
        "consent_purposes",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("title_en", sa.String(length=200), nullable=False),
        sa.Column("title_ru", sa.String(length=200), nullable=False),
        sa.Column("legal_basis", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("tcf_purposes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_consent_purposes_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_purposes")),
        sa.UniqueConstraint("organisation_id", "code", name=op.f("uq_consent_purposes_organisation_id_code")),
    )
    op.create_table(
        "consent_notices",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("text_ru", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("separate_document", sa.Boolean(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_consent_notices_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_notices")),
        sa.UniqueConstraint(
            "organisation_id", "code", "version", name=op.f("uq_consent_notices_organisation_id_code_version")
        ),
    )
    op.create_table(
        "consent_confirmations",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_consent_confirmations_dataset_id_datasets")
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_consent_confirmations")),
    )


def downgrade() -> None:
    op.drop_table("consent_confirmations")
    op.drop_table("consent_notices")
    op.drop_table("consent_purposes")
    op.drop_table("consent_files")
    op.drop_column("consent_epochs", "overlay_is_full")
    op.drop_column("consent_epochs", "overlay_version_id")
    op.drop_column("consent_epochs", "has_ends")
    op.drop_column("consent_epochs", "role")
