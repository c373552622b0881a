"""Run by Alembic: applies the revisions on the connection that ``migrations.upgrade`` opened."""

from __future__ import annotations

from alembic import context

from remote_signing.rssp.models import metadata

# The caller's transaction holds the whole upgrade, so Alembic opens none of its own.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
