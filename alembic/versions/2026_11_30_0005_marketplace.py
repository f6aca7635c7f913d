"""The marketplace: listings and versions, requests, entitlements with licences, usage records.

Revision: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("grants", sa.Column("licence", sa.JSON(), nullable=True))
    op.create_table(
        "listings",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("provider_id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("newest_version_id", sa.String(length=40), nullable=False),
        sa.Column("live_version_id", sa.String(length=40), nullable=True),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_listings_dataset_id_datasets")
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["organisations.id"], name=op.f("fk_listings_provider_id_organisations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listings")),
    )
    op.create_index("ix_listings_catalogue", "listings", ["state", "id"], unique=False)
    op.create_index(op.f("ix_listings_dataset_id"), "listings", ["dataset_id"], unique=False)
    op.create_index(op.f("ix_listings_provider_id"), "listings", ["provider_id"], unique=False)
    op.create_table(
        "listing_versions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("listing_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("policy_id", sa.String(length=40), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("grade", sa.String(length=20), nullable=True),
        sa.Column("written_by", sa.String(length=80), nullable=False),
        sa.Column("reviewed_by", sa.String(length=80), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_listing_versions_listing_id_listings")
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policies.id"], name=op.f("fk_listing_versions_policy_id_policies")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_versions")),
        sa.UniqueConstraint("listing_id", "number", name=op.f("uq_listing_versions_listing_id_number")),
    )
    op.create_table(
        "listing_facets",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("listing_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_listing_facets_listing_id_listings")
        ),
        sa.PrimaryKeyConstraint("kind", "value", "listing_id", name=op.f("pk_listing_facets")),
    )
    op.create_index(op.f("ix_listing_facets_listing_id"), "listing_facets", ["listing_id"], unique=False)
    op.create_table(
        "entitlement_requests",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("listing_id", sa.String(length=40), nullable=False),
        sa.Column("listing_version_id", sa.String(length=40), nullable=False),
        sa.Column("plan_key", sa.String(length=40), nullable=False),
        sa.Column("provider_id", sa.String(length=40), nullable=False),
        sa.Column("advertiser_id", sa.String(length=40), nullable=False),
        sa.Column("agency_id", sa.String(length=40), nullable=True),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("size", sa.String(length=1), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("questions", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=80), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["advertiser_id"],
            ["organisations.id"],
            name=op.f("fk_entitlement_requests_advertiser_id_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["organisations.id"], name=op.f("fk_entitlement_requests_agency_id_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_entitlement_requests_listing_id_listings")
        ),
        sa.ForeignKeyConstraint(
            ["listing_version_id"],
            ["listing_versions.id"],
            name=op.f("fk_entitlement_requests_listing_version_id_listing_versions"),
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["organisations.id"],
            name=op.f("fk_entitlement_requests_provider_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entitlement_requests")),
    )
    op.create_index(
        op.f("ix_entitlement_requests_advertiser_id"), "entitlement_requests", ["advertiser_id"], unique=False
    )
    op.create_index(
        op.f("ix_entitlement_requests_agency_id"), "entitlement_requests", ["agency_id"], unique=False
    )
    op.create_index(
        op.f("ix_entitlement_requests_provider_id"), "entitlement_requests", ["provider_id"], unique=False
    )
    op.create_table(
        "entitlements",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=False),
        sa.Column("grant_id", sa.String(length=40), nullable=False),
        sa.Column("listing_id", sa.String(length=40), nullable=False),
        sa.Column("listing_version_id", sa.String(length=40), nullable=False),
        sa.Column("plan_key", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("provider_id", sa.String(length=40), nullable=False),
        sa.Column("advertiser_id", sa.String(length=40), nullable=False),
        sa.Column("agency_id", sa.String(length=40), nullable=True),
        sa.Column("fee_bp", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["advertiser_id"], ["organisations.id"], name=op.f("fk_entitlements_advertiser_id_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["organisations.id"], name=op.f("fk_entitlements_agency_id_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_entitlements_dataset_id_datasets")
        ),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_entitlements_grant_id_grants")),
        sa.ForeignKeyConstraint(
            ["listing_id"], ["listings.id"], name=op.f("fk_entitlements_listing_id_listings")
        ),
        sa.ForeignKeyConstraint(
            ["listing_version_id"],
            ["listing_versions.id"],
            name=op.f("fk_entitlements_listing_version_id_listing_versions"),
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["organisations.id"], name=op.f("fk_entitlements_provider_id_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["entitlement_requests.id"],
            name=op.f("fk_entitlements_request_id_entitlement_requests"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entitlements")),
        sa.UniqueConstraint("grant_id", name=op.f("uq_entitlements_grant_id")),
        sa.UniqueConstraint("request_id", name=op.f("uq_entitlements_request_id")),
    )
    op.create_index(op.f("ix_entitlements_advertiser_id"), "entitlements", ["advertiser_id"], unique=False)
    op.create_index(op.f("ix_entitlements_agency_id"), "entitlements", ["agency_id"], unique=False)
    op.create_index(op.f("ix_entitlements_expires_at"), "entitlements", ["expires_at"], unique=False)
    op.create_index(op.f("ix_entitlements_provider_id"), "entitlements", ["provider_id"], unique=False)
    op.create_table(
        "usage_records",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("analysis_id", sa.String(length=40), nullable=False),
        sa.Column("event_index", sa.BigInteger(), nullable=False),
        sa.Column("entitlement_id", sa.String(length=40), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("rho_micro", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("cpm_minor", sa.BigInteger(), nullable=False),
        sa.Column("question_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "fee_minor >= 0 AND fee_minor <= amount_minor", name=op.f("ck_usage_records_fee_within_amount")
        ),
        sa.CheckConstraint(
            "cpm_minor + question_minor = amount_minor", name=op.f("ck_usage_records_parts_add_up")
        ),
        sa.ForeignKeyConstraint(
            ["entitlement_id"], ["entitlements.id"], name=op.f("fk_usage_records_entitlement_id_entitlements")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_records")),
        sa.UniqueConstraint("analysis_id", name=op.f("uq_usage_records_analysis_id")),
    )
    op.create_index("ix_usage_records_month", "usage_records", ["entitlement_id", "month"], unique=False)
    op.create_table(
        "usage_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_cursor")),
    )


def downgrade() -> None:
    op.drop_table("usage_cursor")
    op.drop_index("ix_usage_records_month", table_name="usage_records")
    op.drop_table("usage_records")
    op.drop_index("ix_entitlements_advertiser_id", table_name="entitlements")
    op.drop_index("ix_entitlements_agency_id", table_name="entitlements")
    op.drop_index("ix_entitlements_expires_at", table_name="entitlements")
    op.drop_index("ix_entitlements_provider_id", table_name="entitlements")
    op.drop_table("entitlements")
    op.drop_index("ix_entitlement_requests_advertiser_id", table_name="entitlement_requests")
    op.drop_index("ix_entitlement_requests_agency_id", table_name="entitlement_requests")
    op.drop_index("ix_entitlement_requests_provider_id", table_name="entitlement_requests")
    op.drop_table("entitlement_requests")
    op.drop_index("ix_listing_facets_listing_id", table_name="listing_facets")
    op.drop_table("listing_facets")
    op.drop_table("listing_versions")
    op.drop_index("ix_listings_catalogue", table_name="listings")
    op.drop_index("ix_listings_dataset_id", table_name="listings")
    op.drop_index("ix_listings_provider_id", table_name="listings")
    op.drop_table("listings")
    op.drop_column("grants", "licence")
