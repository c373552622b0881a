"""Run by Alembic: applies the revisions on the connection that ``migrations.upgrade`` opened."""

from __future__ import annotations

from alembic import context

from sim_adapter.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="sim_adapter_version",  # may share a database with the rssp
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
