"""What people paste from the pages and from `up` works as it stands."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest

from tests.acceptance.conftest import PATIENCE_SECONDS, ROOT, Up, dicom_files
from tests.acceptance.pages import PAGES, blocks, commands, shell, text_of

if TYPE_CHECKING:
    from tests.acceptance.conftest import Installation

CT, *_ = dicom_files("CT_small.dcm")
PROJECT = "sites/hospital/groups/radiology/projects/lungs"

# What stands for something of the reader's own.
PLACEHOLDERS = {
    "FILE": "CT_small.dcm",
    "FOLDER": "images",
    "OUT": "deidentified",
    "PRINCIPAL": "user:jo",
    "SITE": "sites/hospital",
    "TARGET": PROJECT,
}


@pytest.fixture(scope="module")
def described(installation: Installation, up: Up, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image, and the profile of an institution described as in the README."""
    folder = tmp_path_factory.mktemp("described")
    (folder / "images").mkdir()
    for copy in (folder, folder / "images"):
        shutil.copy(CT, copy)
    describe, *_ = blocks("README.md", "sh")
    shell(installation, up, folder, describe)
    return folder


def test_upload_and_client(installation: Installation, up: Up, described: Path) -> None:
    """The steps of the README lead to a de-identified file, and so does the client."""
    _, upload, _ = blocks("README.md", "sh")
    (client,) = blocks("docs/clients.md", "python")

    shell(installation, up, described, re.sub(r"\S+/CT_small\.dcm", "CT_small.dcm", upload))
    done = subprocess.run(
        [sys.executable, "-c", at(up, client)],
        cwd=described,
        env=installation.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    (output,) = (described / "deidentified").glob("*.dcm")
    assert pydicom.dcmread(output).PatientName == "REDACTED"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (described / "received" / output.name).read_bytes() == output.read_bytes()


def test_an_uploader(installation: Installation, up: Up, described: Path) -> None:
    """Four commands of the README lead to an upload by a key that may do nothing else."""
    *_, script = blocks("README.md", "sh")

    shell(installation, up, described, script)

    (output,) = (described / "deidentified-valves").glob("*.dcm")
    assert pydicom.dcmread(output).PatientName == "REDACTED"
    assert (described / "uploader.key").stat().st_mode & 0o777 == 0o600
    assert len(re.findall("^deidcascade", script, re.MULTILINE)) == 4
    allowed = "deidcascade access test --on sites/heart/groups/surgery/projects/valves"
    told = shell(installation, up, described, f"{allowed} --key-file uploader.key")
    assert told.split()[1:] == ["uploads.create"]


def at(up: Up, text: str) -> str:
    """Returns a text of a page with the addresses and the key of a pair that runs."""
    text = text.replace("~/.local/share/deid-cascade/admin.key", str(up.data / "admin.key"))
    text = text.replace("localhost:50051", up.profile_service)
    return text.replace("localhost:50052", up.deid_service)


@pytest.mark.parametrize(
    ("page", "command"),
    [(page, command) for page in PAGES for command in commands(page, "deidcascade")],
)
def test_command(
    installation: Installation, up: Up, described: Path, tmp_path: Path, page: str, command: str
) -> None:
    """A command in the text of a page works as it stands; one that is only named exists."""
    del page
    shutil.copytree(described, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "deidentified", ignore_errors=True)
    words = [PLACEHOLDERS.get(word, word) for word in command.split()]
    words = [up.profile_service if word == "HOST:PORT" else word for word in words]
    if all(re.fullmatch(r"[a-z]+", word) for word in words):
        words.append("--help")

    shell(installation, up, tmp_path, shlex.join(words))


def test_pseudonyms(installation: Installation, up: Up, described: Path, tmp_path: Path) -> None:
    """The profile and the commands of the page about pseudonyms make them."""
    shutil.copytree(described / "images", tmp_path / "images")
    profile, _ = blocks("docs/pseudonyms.md", "yaml")
    *_, script = blocks("docs/pseudonyms.md", "sh")
    (tmp_path / "profile.yaml").write_text(profile)

    told = shell(installation, up, tmp_path, script)

    (output,) = (tmp_path / "deidentified").glob("*.dcm")
    made = pydicom.dcmread(output)
    assert made.PatientName == made.PatientID != pydicom.dcmread(CT).PatientID
    assert f"Pseudonyms are made with key {told.split()[-1]}." in told


def test_tables(installation: Installation, up: Up, described: Path, tmp_path: Path) -> None:
    """The table, the profile and the commands of the page make the codes of a trial."""
    shutil.copytree(described / "images", tmp_path / "images")
    _, profile = blocks("docs/pseudonyms.md", "yaml")
    (table,) = blocks("docs/pseudonyms.md", "csv")
    *_, kept, script, _ = blocks("docs/pseudonyms.md", "sh")
    (tmp_path / "trial.yaml").write_text(profile)
    patient = pydicom.dcmread(CT).PatientID
    text = table.replace("4711,CITY HOSPITAL", f"{patient},")
    (tmp_path / "trial.csv").write_text(text)
    more = "original,issuer,code,days,arm\n4713,,LUNG-0003,1,A\n"
    (tmp_path / "more.csv").write_text(more)

    made_site = "deidcascade container create sites/demo || true\n"
    shell(installation, up, tmp_path, made_site + kept + script)

    exported = (tmp_path / "exported.csv").read_text().splitlines()
    assert sorted(exported) == sorted([*text.splitlines(), *more.splitlines()[1:]])
    (output,) = (tmp_path / "deidentified").glob("*.dcm")
    made = pydicom.dcmread(output)
    assert made.PatientID == made.PatientName == "LUNG-0001"
    assert made.ClinicalTrialTimePointID == "A"


@pytest.mark.parametrize(
    ("page", "command"),
    [(page, command) for page in PAGES for command in commands(page, "python")],
)
def test_module(installation: Installation, page: str, command: str) -> None:
    """A module that a page has Python run is there, and takes these options."""
    del page
    done = subprocess.run(
        [sys.executable, *command.split()[1:]],
        cwd=ROOT,
        env=installation.environment(),
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    assert done.returncode == 0


@pytest.mark.parametrize(
    ("page", "command"), [(page, command) for page in PAGES for command in commands(page, "./dev")]
)
def test_command_of_developers(page: str, command: str) -> None:
    """A command of `./dev` that a page names is there, and so is a benchmark."""
    del page
    _, name, *arguments = command.split()
    modules = {path.stem for path in (ROOT / "tests" / "benchmarks").glob("[a-z]*.py")}

    assert name in commands_of_developers()
    assert name != "bench" or set(arguments) <= modules


@cache
def commands_of_developers() -> list[str]:
    """Returns the names that `./dev` lists."""
    listed = subprocess.run(
        [sys.executable, ROOT / "dev"], capture_output=True, text=True, check=True
    ).stdout
    return re.findall(r"^  (\w+) ", listed, re.MULTILINE)


def test_grpcurl(installation: Installation, up: Up, tmp_path: Path) -> None:
    """The commands for grpcurl do what is said above them; the refused one names violations."""
    (script,) = blocks("docs/clients.md", "sh")
    (tmp_path / "grpcurl").write_text(
        f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("grpcurl.py")} "$@"\n'
    )
    (tmp_path / "grpcurl").chmod(0o755)
    shown, script = at(up, script).split("\n", 1)
    accepted, refused, rest = re.split(r"# Refused: .*\n|(?<=SetProfile\n)\n(?=grpcurl)", script)

    told = [
        shell(installation, up, tmp_path, f"{shown}\n{part}", programs=tmp_path)
        for part in (accepted, f"! {refused.strip()} 2>&1", rest)
    ]

    assert "deidcascade.v1.ProfileService" in told[0]
    assert "UNKNOWN_KEYWORD" in told[0]
    assert "Code: INVALID_ARGUMENT" in told[1]
    assert "UNKNOWN_KEYWORD" in told[1]
    assert '"verdict": "VERDICT_SELECTED"' in told[2]
    assert '"status": "SERVING"' in told[2]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """What a page links to in the repository is there, with the heading if it names one."""
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith("https://"):
            continue
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not heading or heading in anchors(target.read_text("utf-8")), link


def anchors(text: str) -> set[str]:
    """Returns what links to the headings of a page are called."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_settings_are_those_of_the_services(installation: Installation) -> None:
    """Each variable that the page on operations lists is one that a program reads."""
    listed = set(
        re.findall(r"^\| `(DEIDCASCADE_\w+)`", text_of("docs/operations.md"), re.MULTILINE)
    )
    helped = "".join(
        subprocess.run(
            [sys.executable, "-m", module, "--help"],
            env=installation.environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for module in ("profile_service", "deid_service")
    )
    helped += installation.run("upload", "--help").stdout

    assert len(listed) > 1
    assert {name for name in listed if name not in helped} == set()


def test_what_up_prints(installation: Installation, tmp_path: Path) -> None:
    """The commands that `up` prints work when they are pasted."""
    with Up(installation, tmp_path / "data") as fresh:
        _, _, pasted = fresh.introduction().partition("In another terminal:\n")
        # grpcurl is not part of what a test may expect on a machine.
        given, _, by_grpcurl = pasted.partition("  grpcurl ")

        shell(installation, fresh, tmp_path, given)

    assert fresh.profile_service in by_grpcurl
    (output,) = (tmp_path / "deidentified").glob("*.dcm")
    assert "PatientName" not in pydicom.dcmread(output)
