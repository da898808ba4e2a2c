"""PostgreSQL: what is kept, a module for each kind of thing, and how it is reached.

`store` has all parts: `containers`, `profiles`, `resolutions`, `changes`, `access`,
`site_keys`, `codes` and `audit`. Below them are `database`, its connections for reads
(`readers`, `statement`) and for changes (`writers`), the `queries`, and the schema and its
`migrations`.
"""

from profile_service.store.store import Store

__all__ = ["Store"]
