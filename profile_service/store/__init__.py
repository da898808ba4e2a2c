"""PostgreSQL: the queries, the schema and its migrations, and the pool."""
