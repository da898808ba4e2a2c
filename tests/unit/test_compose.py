"""What the compose file and the image allow, and what they are made of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = "deid-cascade"


def test_no_container_can_do_more_than_it_needs() -> None:
    """Each is read-only, without capabilities or a way to them, and within limits."""
    for service in COMPOSE["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["pids_limit"] > 0
        assert service["mem_limit"]


def test_the_image_runs_as_a_number() -> None:
    """A user by number can be told from root without a look into the image."""
    users = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)

    assert users == ["10001:10001"]


def test_images_of_others_are_pinned() -> None:
    """What is built or started next month is made of the same releases."""
    example = (ROOT / "deploy/kubernetes/example/postgresql.yaml").read_text()
    images = {
        *re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE),
        *re.findall(r"image: (\S+)", example),
        *(service["image"] for service in COMPOSE["services"].values()),
    } - {OURS}

    assert len(images) == 2
    for image in images:
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+|postgres:\d+\.\d+-[a-z]+", image)


def test_passwords_stand_in_files_alone() -> None:
    """Each container is given the secrets that it names, as files, and none by its environment."""
    makes = (ROOT / "deploy/secrets.sh").read_text()
    for service in COMPOSE["services"].values():
        variables = service["environment"]
        named = {
            value.removeprefix("/run/secrets/")
            for value in variables.values()
            if str(value).startswith("/run/secrets/")
        }
        assert named == set(service.get("secrets", []))
        assert not [each for each in variables if each.endswith("PASSWORD")]
        assert not [each for each in variables.values() if "password" in str(each).split("/")[0]]
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
        assert f"once {name}" in makes
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_database_is_set_up_before_it_is_served() -> None:
    """ProfileService waits for the set-up, DeidService for ProfileService."""
    services = COMPOSE["services"]
    done, healthy = "service_completed_successfully", "service_healthy"

    assert "DEIDCASCADE_OWNER_DATABASE" in services["set-up"]["environment"]
    assert services["profile-service"]["depends_on"] == {"set-up": {"condition": done}}
    assert services["deid-service"]["depends_on"] == {"profile-service": {"condition": healthy}}
