"""The history of the tables, as Alembic revisions; `db.migrate` runs them."""
