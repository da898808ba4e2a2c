"""What is shipped for monitoring asks for what the services tell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from deid_service.serving.metrics import families as of_deid_service
from profile_service.metrics import families as of_profile_service
from profile_service.serving.exposition import OF_WORKERS, SUPERVISION
from profile_service.serving.metrics import Count, Timing

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def told() -> set[str]:
    """Returns the names of all samples that the services can tell."""
    families = (
        *of_deid_service(),
        *of_profile_service(["ResolveProfile"]),
        *SUPERVISION,
    )
    names = {*OF_WORKERS, "deidcascade_build_info"}
    for family in families:
        if isinstance(family, Count):
            names.add(f"{family.name}_total")
        elif isinstance(family, Timing):
            names |= {f"{family.name}_{end}" for end in ("bucket", "sum", "count")}
        else:
            names.add(family.name)
    return names


def expressions() -> dict[str, list[str]]:
    """Returns what each file asks Prometheus."""
    alerts = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    board = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    return {
        "alerts": [rule["expr"] for group in alerts["groups"] for rule in group["rules"]],
        "dashboard": [target["expr"] for panel in board["panels"] for target in panel["targets"]],
    }


@pytest.mark.parametrize("name", ["alerts", "dashboard"])
def test_what_is_asked_for_is_told(name: str) -> None:
    """No alert and no panel waits for a metric that does not exist."""
    asked = {
        found
        for expression in expressions()[name]
        for found in re.findall(r"deidcascade_\w+", expression)
    }

    assert asked
    assert asked - told() == set()


def test_what_to_do_is_written_down() -> None:
    """Each alert has its row in the page for who is woken by it."""
    alerts = re.findall(r"- alert: (\w+)", (DEPLOY / "prometheus/alerts.yml").read_text())
    page = (DEPLOY.parent / "docs/operations.md").read_text()

    assert re.findall(r"^\| `(DeidCascade\w+)` \|", page, re.MULTILINE) == alerts


def test_every_metric_is_looked_at() -> None:
    """What is told is on the dashboard or in an alert, so that it is worth telling."""
    asked = {
        found
        for each in expressions().values()
        for expression in each
        for found in re.findall(r"deidcascade_\w+", expression)
    }

    unseen = {name for name in told() - asked if not re.search(r"_(bucket|sum|count|info)$", name)}
    assert unseen == {"deidcascade_database_writers_most"}
