"""More of an analysis: emotion, sarcasm, whether a reply is expected, taught intents, the embedding."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analyses", sa.Column("emotion", sa.String(length=20), nullable=True))
    op.add_column("analyses", sa.Column("emotion_confidence", sa.Float(), nullable=True))
    op.add_column("analyses", sa.Column("sarcasm", sa.Float(), nullable=True))
    op.add_column("analyses", sa.Column("expects_reply", sa.Float(), nullable=True))
    op.add_column(
        "analyses",
        sa.Column(
            "taught",
            sa.JSON().with_variant(JSONB(), "postgresql"),
            server_default="[]",
            nullable=False,
        ),
    )
    op.add_column("analyses", sa.Column("embedding", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("analyses", "embedding")
    op.drop_column("analyses", "taught")
    op.drop_column("analyses", "expects_reply")
    op.drop_column("analyses", "sarcasm")
    op.drop_column("analyses", "emotion_confidence")
    op.drop_column("analyses", "emotion")
