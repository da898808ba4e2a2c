"""What the compose file and the image allow."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_no_container_can_do_more_than_it_needs() -> None:
    """Each is read-only, without capabilities or a way to them, and within limits."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["pids_limit"] > 0
        assert service["mem_limit"]


def test_the_image_runs_as_a_number() -> None:
    """A user by number can be told from root without a look into the image."""
    users = re.findall(r"^USER (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert users == ["10001:10001"]
