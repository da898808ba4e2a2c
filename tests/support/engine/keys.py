"""Keys for tests: nobody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deid_service.engine import Keys, compile_plan

if TYPE_CHECKING:
    from deid_service.engine import Plan
    from profile_service.language.model import KeyPurpose, Profile


def made_keys(name: str) -> Keys:
    """Returns keys that are other ones for every name."""
    uses: tuple[KeyPurpose, ...] = ("hash", "uid", "shift", "table")
    tables = {table: f"{name} {table}".encode() for table in ("trial", "others")}
    return Keys(name, {use: f"{name} {use}".encode() for use in uses}, tables)


def with_keys(plan: Plan, name: str = "key") -> Plan:
    """Returns a plan with keys and lists where it needs them; else as it is."""
    if not (plan.key_purposes or plan.columns or plan.lists):
        return plan
    listed = plan.listed(dict.fromkeys(plan.lists, ("Systems",)))
    return plan.for_stream(made_keys(name), listed)


def compiled_with_keys(profile: Profile) -> Plan:
    """Compiles a profile, and gives it keys where it needs them."""
    return with_keys(compile_plan(profile))
