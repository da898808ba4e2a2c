"""What is published: both distributions are built, and hold what they must."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import DISTRIBUTED, PATIENCE_SECONDS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

# Beside the code: what somebody needs who has nothing but the archive.
PUBLISHED = (
    *("CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "MANIFEST.in", "SECURITY.md"),
    *("constraints.txt", "docker-compose.yml", "deploy", "docs", "examples"),
)
PACKAGES = {"deid_service": "", "profile_service": "", "deidcascade": "protos"}

# Not a part of what is imported: it goes with the metadata of the wheel.
LICENSES = "profile_service/language/standard/licenses/"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was built from that."""
    source = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__", "secrets", "node_modules")
    for name in (*DISTRIBUTED, *PUBLISHED):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "absent from the" not in done.stderr
    return out


def in_repository(*names: str) -> set[str]:
    """Returns the files of some folders, and some files, by their paths."""
    found = set()
    for name in names:
        paths = (ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name]
        found |= {
            path.relative_to(ROOT).as_posix()
            for path in paths
            if path.is_file() and not {"__pycache__", "secrets", "node_modules"} & {*path.parts}
        }
    return found


def test_the_wheel_has_all_of_the_packages(built: Path) -> None:
    """Every file of the three packages is in it, and no other is."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = {PurePosixPath(name).name for name in archive.namelist() if "/licenses/" in name}

    wanted = {
        name.removeprefix(f"{above}/") if above else name
        for package, above in PACKAGES.items()
        for name in in_repository(f"{above}/{package}" if above else package)
        if not name.startswith(LICENSES)
    }
    assert names == {name for name in wanted if not name.endswith((".md",))}
    assert metadata == {"LICENSE"} | {
        PurePosixPath(name).name for name in in_repository(LICENSES.rstrip("/"))
    }


def test_the_source_has_what_it_is_built_and_run_with(built: Path) -> None:
    """Code, protos, pages, manifests and examples are in it, and the wheel comes of it alone."""
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    wanted = in_repository(*DISTRIBUTED, *PUBLISHED)
    assert {name for name in wanted - names if "egg-info" not in name} == set()
