"""An index for how often automations ran lately."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_automation_runs_ran_at", "automation_runs", ["automation", "ran_at", "result"])


def downgrade() -> None:
    op.drop_index("ix_automation_runs_ran_at", "automation_runs")
