"""The first schema: parties, workspaces, datasets, consents, rules, budgets, questions, and the audit log.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

from cleanroom.audit.models import APPEND_ONLY_TABLES, append_only_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "analyses",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("grant_id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("base_id", sa.String(length=40), nullable=False),
        sa.Column("base_version_id", sa.String(length=40), nullable=False),
        sa.Column("advertiser_id", sa.String(length=40), nullable=False),
        sa.Column("agency_id", sa.String(length=40), nullable=True),
        sa.Column("question", sa.JSON(), nullable=False),
        sa.Column("outline", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("rho_micro", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyses")),
    )
    op.create_index(op.f("ix_analyses_dataset_id"), "analyses", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_analyses_grant_id"), "analyses", ["grant_id"], unique=False)
    op.create_index(
        "ix_analyses_party", "analyses", ["dataset_id", "advertiser_id", "asked_at"], unique=False
    )
    op.create_index(op.f("ix_analyses_status"), "analyses", ["status"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("grant_id", sa.String(length=40), nullable=False),
        sa.Column("advertiser_id", sa.String(length=40), nullable=False),
        sa.Column("agency_id", sa.String(length=40), nullable=True),
        sa.Column("of", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.JSON(), nullable=False),
        sa.Column("question", sa.JSON(), nullable=False),
        sa.Column("policy_id", sa.String(length=40), nullable=False),
        sa.Column("rho_micro", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("grant_id", "key", name=op.f("uq_approvals_grant_id_key")),
    )
    op.create_index(op.f("ix_approvals_dataset_id"), "approvals", ["dataset_id"], unique=False)
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", BIG, autoincrement=False, nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_audit_checkpoints")),
    )
    op.create_table(
        "audit_events",
        sa.Column("index", BIG, autoincrement=False, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=100), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=True),
        sa.Column("subject_id", sa.String(length=100), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_audit_events")),
    )
    op.create_index(op.f("ix_audit_events_kind"), "audit_events", ["kind"], unique=False)
    op.create_index(
        op.f("ix_audit_events_organisation_id"), "audit_events", ["organisation_id"], unique=False
    )
    op.create_index(op.f("ix_audit_events_subject_id"), "audit_events", ["subject_id"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "audit_nodes",
        sa.Column("closed_by", BIG, autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("closed_by", "level", name=op.f("pk_audit_nodes")),
    )
    op.create_table(
        "consent_epochs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted", sa.Integer(), nullable=False),
        sa.Column("token_key_version", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(length=32), nullable=True),
        sa.Column("ciphertext_sha256", sa.String(length=64), nullable=True),
        sa.Column("object_key", sa.String(length=160), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_epochs")),
        sa.UniqueConstraint("dataset_id", "epoch", name=op.f("uq_consent_epochs_dataset_id_epoch")),
        sa.UniqueConstraint("object_key", name=op.f("uq_consent_epochs_object_key")),
    )
    op.create_index(op.f("ix_consent_epochs_dataset_id"), "consent_epochs", ["dataset_id"], unique=False)
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("schema", sa.JSON(), nullable=False),
        sa.Column("schema_sha256", sa.String(length=64), nullable=False),
        sa.Column("current_version_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
    )
    op.create_index(op.f("ix_datasets_workspace_id"), "datasets", ["workspace_id"], unique=False)
    op.create_table(
        "kill_switches",
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_kill_switches")),
    )
    op.create_table(
        "organisations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("affiliate_group", sa.String(length=200), nullable=True),
        sa.Column("sector", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
    )
    op.create_index(
        op.f("ix_organisations_affiliate_group"), "organisations", ["affiliate_group"], unique=False
    )
    op.create_table(
        "policies",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("report_sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("dataset_id", "number", name=op.f("uq_policies_dataset_id_number")),
    )
    op.create_table(
        "public_releases",
        sa.Column("version_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=80), nullable=False),
        sa.Column("rho_micro", sa.BigInteger(), nullable=False),
        sa.Column("figure", sa.JSON(), nullable=True),
        sa.Column("charged_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "purpose", name=op.f("pk_public_releases")),
    )
    op.create_table(
        "stored_answers",
        sa.Column("analysis_id", sa.String(length=40), nullable=False),
        sa.Column("question_key", sa.String(length=64), nullable=False),
        sa.Column("consent_epoch", sa.BigInteger(), nullable=False),
        sa.Column("rho_micro", sa.BigInteger(), nullable=False),
        sa.Column("mechanism", sa.JSON(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", name=op.f("pk_stored_answers")),
    )
    op.create_index(
        "ix_stored_answers_lookup", "stored_answers", ["question_key", "consent_epoch"], unique=False
    )
    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("previous_version_id", sa.String(length=40), nullable=True),
        sa.Column("package_id", sa.String(length=40), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("persons", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("over_shared", sa.Integer(), nullable=False),
        sa.Column("token_key_version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=True),
        sa.Column("files_root", sa.String(length=64), nullable=True),
        sa.Column("failure", sa.String(length=80), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_versions_dataset_id_datasets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint("dataset_id", "number", name=op.f("uq_dataset_versions_dataset_id_number")),
    )
    op.create_index(op.f("ix_dataset_versions_status"), "dataset_versions", ["status"], unique=False)
    op.create_table(
        "enrolled_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_enrolled_keys_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolled_keys")),
        sa.UniqueConstraint("public_key", name=op.f("uq_enrolled_keys_public_key")),
    )
    op.create_index(
        op.f("ix_enrolled_keys_organisation_id"), "enrolled_keys", ["organisation_id"], unique=False
    )
    op.create_table(
        "mandates",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agency_id", sa.String(length=40), nullable=False),
        sa.Column("advertiser_id", sa.String(length=40), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["advertiser_id"], ["organisations.id"], name=op.f("fk_mandates_advertiser_id_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["organisations.id"], name=op.f("fk_mandates_agency_id_organisations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandates")),
    )
    op.create_index(op.f("ix_mandates_advertiser_id"), "mandates", ["advertiser_id"], unique=False)
    op.create_index(op.f("ix_mandates_agency_id"), "mandates", ["agency_id"], unique=False)
    op.create_table(
        "populations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_populations_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_populations")),
    )
    op.create_index(op.f("ix_populations_organisation_id"), "populations", ["organisation_id"], unique=False)
    op.create_table(
        "budget_accounts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("population_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("party", sa.String(length=200), nullable=False),
        sa.Column("allocated_micro", sa.BigInteger(), nullable=False),
        sa.Column("allocated_delta_pico", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "allocated_micro >= 0 AND allocated_delta_pico >= 0", name=op.f("ck_budget_accounts_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["population_id"], ["populations.id"], name=op.f("fk_budget_accounts_population_id_populations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_accounts")),
        sa.UniqueConstraint(
            "population_id", "kind", "party", name=op.f("uq_budget_accounts_population_id_kind_party")
        ),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("population_id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("advertiser_id", sa.String(length=40), nullable=False),
        sa.Column("agency_id", sa.String(length=40), nullable=True),
        sa.Column("affiliate_group", sa.String(length=200), nullable=True),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("size", sa.String(length=1), nullable=False),
        sa.Column("rho_micro", sa.BigInteger(), nullable=False),
        sa.Column("spent_micro", sa.BigInteger(), nullable=False),
        sa.Column("delta_pico", sa.BigInteger(), nullable=False),
        sa.Column("spent_delta_pico", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.CheckConstraint(
            "spent_micro >= 0 AND spent_micro <= rho_micro", name=op.f("ck_grants_never_overspent")
        ),
        sa.CheckConstraint(
            "spent_delta_pico >= 0 AND spent_delta_pico <= delta_pico",
            name=op.f("ck_grants_delta_never_overspent"),
        ),
        sa.ForeignKeyConstraint(
            ["advertiser_id"], ["organisations.id"], name=op.f("fk_grants_advertiser_id_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["organisations.id"], name=op.f("fk_grants_agency_id_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["population_id"], ["populations.id"], name=op.f("fk_grants_population_id_populations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_advertiser_id"), "grants", ["advertiser_id"], unique=False)
    op.create_index(op.f("ix_grants_agency_id"), "grants", ["agency_id"], unique=False)
    op.create_index(op.f("ix_grants_dataset_id"), "grants", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_grants_expires_at"), "grants", ["expires_at"], unique=False)
    op.create_index(op.f("ix_grants_population_id"), "grants", ["population_id"], unique=False)
    op.create_table(
        "packages",
        sa.Column("package_id", sa.String(length=40), nullable=False),
        sa.Column("version_id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("signer_key_id", sa.String(length=80), nullable=False),
        sa.Column("ciphertext_sha256", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_packages_dataset_id_datasets")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["dataset_versions.id"], name=op.f("fk_packages_version_id_dataset_versions")
        ),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_packages")),
    )
    op.create_table(
        "sealed_files",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("column", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(length=32), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("ciphertext_sha256", sa.String(length=64), nullable=False),
        sa.Column("object_key", sa.String(length=160), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["dataset_versions.id"], name=op.f("fk_sealed_files_version_id_dataset_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sealed_files")),
        sa.UniqueConstraint("object_key", name=op.f("uq_sealed_files_object_key")),
        sa.UniqueConstraint(
            "version_id", "role", "column", name=op.f("uq_sealed_files_version_id_role_column")
        ),
    )
    op.create_table(
        "workspaces",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("population_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kek_id", sa.String(length=100), nullable=False),
        sa.Column("next_kek_id", sa.String(length=100), nullable=True),
        sa.Column("token_key_version", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_workspaces_organisation_id_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["population_id"], ["populations.id"], name=op.f("fk_workspaces_population_id_populations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
    )
    op.create_index(op.f("ix_workspaces_organisation_id"), "workspaces", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_workspaces_population_id"), "workspaces", ["population_id"], unique=False)
    op.create_table(
        "budget_ledger",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("population_id", sa.String(length=40), nullable=False),
        sa.Column("grant_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject_id", sa.String(length=140), nullable=False),
        sa.Column("base_id", sa.String(length=40), nullable=True),
        sa.Column("rho_micro", sa.BigInteger(), nullable=False),
        sa.Column("delta_pico", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_budget_ledger_grant_id_grants")),
        sa.ForeignKeyConstraint(
            ["population_id"], ["populations.id"], name=op.f("fk_budget_ledger_population_id_populations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_ledger")),
        sa.UniqueConstraint("subject_id", "kind", name=op.f("uq_budget_ledger_subject_id_kind")),
    )
    op.create_index(op.f("ix_budget_ledger_grant_id"), "budget_ledger", ["grant_id"], unique=False)
    op.create_index(op.f("ix_budget_ledger_population_id"), "budget_ledger", ["population_id"], unique=False)
    op.create_table(
        "retired_keks",
        sa.Column("kek_id", sa.String(length=100), nullable=False),
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_retired_keks_workspace_id_workspaces")
        ),
        sa.PrimaryKeyConstraint("kek_id", name=op.f("pk_retired_keks")),
    )
    op.create_index(op.f("ix_retired_keks_workspace_id"), "retired_keks", ["workspace_id"], unique=False)
    op.create_table(
        "workspace_secrets",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_workspace_secrets_workspace_id_workspaces")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "purpose", "version", name=op.f("pk_workspace_secrets")),
    )
    for table in APPEND_ONLY_TABLES:
        for statement in append_only_statements(table, op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("workspace_secrets")
    op.drop_index(op.f("ix_retired_keks_workspace_id"), table_name="retired_keks")
    op.drop_table("retired_keks")
    op.drop_index(op.f("ix_budget_ledger_population_id"), table_name="budget_ledger")
    op.drop_index(op.f("ix_budget_ledger_grant_id"), table_name="budget_ledger")
    op.drop_table("budget_ledger")
    op.drop_index(op.f("ix_workspaces_population_id"), table_name="workspaces")
    op.drop_index(op.f("ix_workspaces_organisation_id"), table_name="workspaces")
    op.drop_table("workspaces")
    op.drop_table("sealed_files")
    op.drop_table("packages")
    op.drop_index(op.f("ix_grants_population_id"), table_name="grants")
    op.drop_index(op.f("ix_grants_expires_at"), table_name="grants")
    op.drop_index(op.f("ix_grants_dataset_id"), table_name="grants")
    op.drop_index(op.f("ix_grants_agency_id"), table_name="grants")
    op.drop_index(op.f("ix_grants_advertiser_id"), table_name="grants")
    op.drop_table("grants")
    op.drop_table("budget_accounts")
    op.drop_index(op.f("ix_populations_organisation_id"), table_name="populations")
    op.drop_table("populations")
    op.drop_index(op.f("ix_mandates_agency_id"), table_name="mandates")
    op.drop_index(op.f("ix_mandates_advertiser_id"), table_name="mandates")
    op.drop_table("mandates")
    op.drop_index(op.f("ix_enrolled_keys_organisation_id"), table_name="enrolled_keys")
    op.drop_table("enrolled_keys")
    op.drop_index(op.f("ix_dataset_versions_status"), table_name="dataset_versions")
    op.drop_table("dataset_versions")
    op.drop_index("ix_stored_answers_lookup", table_name="stored_answers")
    op.drop_table("stored_answers")
    op.drop_table("public_releases")
    op.drop_table("policies")
    op.drop_index(op.f("ix_organisations_affiliate_group"), table_name="organisations")
    op.drop_table("organisations")
    op.drop_table("kill_switches")
    op.drop_index(op.f("ix_datasets_workspace_id"), table_name="datasets")
    op.drop_table("datasets")
    op.drop_index(op.f("ix_consent_epochs_dataset_id"), table_name="consent_epochs")
    op.drop_table("consent_epochs")
    op.drop_table("audit_nodes")
    op.drop_table("audit_head")
    op.drop_index(op.f("ix_audit_events_subject_id"), table_name="audit_events")
    op.drop_index(op.f("ix_audit_events_organisation_id"), table_name="audit_events")
    op.drop_index(op.f("ix_audit_events_kind"), table_name="audit_events")
    op.drop_table("audit_events")
    op.drop_table("audit_checkpoints")
    op.drop_index(op.f("ix_approvals_dataset_id"), table_name="approvals")
    op.drop_table("approvals")
    op.drop_index(op.f("ix_analyses_status"), table_name="analyses")
    op.drop_index("ix_analyses_party", table_name="analyses")
    op.drop_index(op.f("ix_analyses_grant_id"), table_name="analyses")
    op.drop_index(op.f("ix_analyses_dataset_id"), table_name="analyses")
    op.drop_table("analyses")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION IF EXISTS cleanroom_refuse_change()")
