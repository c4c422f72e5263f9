"""Each promise knows the version of the policy that it counts by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("promises", sa.Column("policy_version_id", sa.Integer(), nullable=True))
    # What is open was placed last by the version that its conversation names; what had ended by then, as far
    # as can be known, by the one that ruled when it ended.
    op.execute(
        """
        UPDATE promises SET policy_version_id = coalesce(
            (
                SELECT version_id FROM policy_activations
                WHERE activated_at <= coalesce(promises.met_at, promises.cancelled_at)
                ORDER BY id DESC LIMIT 1
            ),
            (SELECT policy_version_id FROM conversations WHERE id = promises.conversation_id)
        )
        """
    )


def downgrade() -> None:
    op.drop_column("promises", "policy_version_id")
