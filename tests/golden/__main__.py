"""Writes every `.expected` file anew: python -m tests.golden."""

from __future__ import annotations

from tests.golden import PROFILES, answer


def main() -> None:
    """Writes the answers beside the profiles."""
    for profile in sorted(PROFILES.glob("*.yaml")):
        profile.with_suffix(".expected").write_text(answer(profile.read_bytes()), "utf-8")


if __name__ == "__main__":
    main()
