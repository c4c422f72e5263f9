"""Credentials that run out are renewed."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TROUBLES = "trouble IS NULL OR trouble IN ('later', 'sign_in', 'settings', 'failed')"


def upgrade() -> None:
    _modes("mode IN ('fetch', 'stream', 'renew')")


def downgrade() -> None:
    op.execute("DELETE FROM feeds WHERE mode = 'renew'")
    _modes("mode IN ('fetch', 'stream')")


def _modes(condition: str) -> None:
    name = op.f("ck_feeds_mode")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "feeds", type_="check")
        op.create_check_constraint(name, "feeds", condition)
        return
    # SQLite makes the table anew; constraints that are not named here are left out.
    with op.batch_alter_table("feeds", recreate="always") as feeds:
        feeds.create_check_constraint(name, condition)
        feeds.create_check_constraint(op.f("ck_feeds_trouble"), TROUBLES)
