"""PostgreSQL: the queries, the schema and its migrations, and the pool."""

from profile_service.store.store import Store

__all__ = ["Store"]
