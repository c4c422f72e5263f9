"""Files that a vendor named by their addresses are fetched and kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

DUE = sa.text("fetch_at IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "attachments", sa.Column("fetchable", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("attachments", sa.Column("fetch_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "attachments", sa.Column("fetch_tries", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("attachments", sa.Column("fetch_error", sa.Text(), nullable=True))
    op.create_index(
        "ix_attachments_fetch_at", "attachments", ["fetch_at"], postgresql_where=DUE, sqlite_where=DUE
    )


def downgrade() -> None:
    op.drop_index("ix_attachments_fetch_at", table_name="attachments")
    for column in ("fetch_error", "fetch_tries", "fetch_at", "fetchable"):
        op.drop_column("attachments", column)
