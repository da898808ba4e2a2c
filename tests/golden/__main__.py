"""Writes every `.expected` file and the verdicts anew: python -m tests.golden."""

from __future__ import annotations

import sys

from profile_service.language import VALIDATOR_VERSION
from tests.golden import PROFILES, VERDICTS, answer, verdicts


def main() -> int:
    """Writes the answers beside the profiles; returns the exit code."""
    for profile in sorted(PROFILES.glob("*.yaml")):
        profile.with_suffix(".expected").write_text(answer(profile.read_bytes()), "utf-8")
    before, now = (dict(map(str.split, text.splitlines())) for text in (_recorded(), verdicts()))
    changed = [name for name, verdict in before.items() if now.get(name, verdict) != verdict]
    if changed and "validator_version" not in changed:
        print(
            f"The verdict on {', '.join(changed)} is another one than VALIDATOR_VERSION "
            f"{VALIDATOR_VERSION} gave: stored ones would stay as they are. Raise it first.",
            file=sys.stderr,
        )
        return 1
    VERDICTS.write_text(verdicts(), "utf-8")
    return 0


def _recorded() -> str:
    return VERDICTS.read_text("utf-8") if VERDICTS.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
