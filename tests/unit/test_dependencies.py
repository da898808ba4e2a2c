"""What pyproject.toml asks for is enough, and the image is made of that."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "protos" / "deidcascade" / "v1"


def dependencies() -> list[Requirement]:
    """Returns what the services need, without extras."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return [Requirement(each) for each in pyproject["project"]["dependencies"]]


@pytest.mark.parametrize(
    ("name", "stubs", "said"),
    [
        ("grpcio", "*_pb2_grpc.py", r"GRPC_GENERATED_VERSION = '([\d.]+)'"),
        ("protobuf", "*_pb2.py", r"Protobuf Python Version: ([\d.]+)"),
    ],
)
def test_bounds_are_those_of_the_stubs(name: str, stubs: str, said: str) -> None:
    """The oldest version that is allowed is the one that the stubs ask for when imported."""
    (wanted,) = (each for each in dependencies() if each.name == name)
    (bound,) = (Version(each.version) for each in wanted.specifier if each.operator == ">=")

    asked = {
        Version(version)
        for path in STUBS.glob(stubs)
        for version in re.findall(said, path.read_text("utf-8"))
    }

    assert asked == {bound}


def test_pins_are_what_the_project_allows() -> None:
    """Each dependency is pinned, in a version within its bounds: `./dev pin` renews them."""
    text = (ROOT / "constraints.txt").read_text("utf-8")
    pins: dict[str, str] = {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([^#=]+)==(.+)$", text, re.MULTILINE)
    }
    wanted = dependencies()

    allowed = [each.name for each in wanted if each.specifier.contains(pins.get(each.name, ""))]

    assert [each.name for each in wanted] == allowed


def test_image_installs_the_pins() -> None:
    """The image is given the file of pins, and pip is told to hold to it."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")

    assert re.search(r"^COPY .*constraints\.txt", dockerfile, re.MULTILINE)
    assert "--constraint constraints.txt" in dockerfile
    assert "!constraints.txt" in (ROOT / ".dockerignore").read_text("utf-8")
