"""A run that is ended at any moment, and one that goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# In each of the ways there are more steps than this.
STEPS = 12 * 10


def test_whenever_it_ends_each_source_has_one_output(tmp_path: Path) -> None:
    """After the next run each source has the output that it says, and nothing else is there."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.client.crashes", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(runs) > STEPS
    for each in runs:
        assert {source: each["there"].pop(name) for source, name in each["kept"].items()} == {
            str(number): f"{content} by second" for number, content in enumerate(each["of"])
        }, each["run"]
        assert each["there"] == {}, each["run"]
