"""The command with good and bad input: what it prints, and how it exits."""

from __future__ import annotations

import json
import os
import pty
import shlex
import socket
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

import pydicom
import pytest

from deid_service.engine import ENGINE_VERSION
from tests.acceptance.conftest import dicom_files
from tests.support.processes import child

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Installation, Run, Up

VALID = """\
dicom:
  fields:
    - {name: PatientName, replace-with: REDACTED}
    - {name: SOPInstanceUID, hashuid: true}
"""
INVALID = """\
dicom:
  fields:
    - {name: PatientNme, remove: true}
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A file with a valid profile."""
    path = tmp_path / "profile.yaml"
    path.write_text(VALID)
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two good files, one of them below, a broken one, and one that is no DICOM."""
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True)
    ct, mr = dicom_files("CT_small.dcm", "MR_small.dcm")
    (folder / "Doe^Jane.dcm").write_bytes(ct.read_bytes())
    (folder / "below" / "mr.dcm").write_bytes(mr.read_bytes())
    (folder / "half.dcm").write_bytes(mr.read_bytes()[:3000])
    (folder / "notes.txt").write_text("No image at all. " * 20)
    return folder


@pytest.fixture
def project(run: Run, request: pytest.FixtureRequest) -> str:
    """A project of its own for each test; there is no profile yet."""
    name = request.node.name.replace("_", "-").split("[")[0]
    parts = [f"sites/{name}", f"sites/{name}/groups/g", f"sites/{name}/groups/g/projects/p"]
    for part in parts:
        assert run("container", "create", part).returncode == 0
    return parts[-1]


def site_of(project: str) -> str:
    """Returns the name of the site that a project is in."""
    return "/".join(project.split("/")[:2])


def test_containers(run: Run) -> None:
    """Containers are created, listed, changed and deleted, and shown as JSON."""
    site = "sites/containers"
    created = run("container", "create", site, "--display-name", "A clinic", "--json")
    assert (created.returncode, created.stderr) == (0, "")
    assert json.loads(created.stdout)["displayName"] == "A clinic"
    assert run("container", "create", f"{site}/devices/mr-1").returncode == 0

    assert f"{site}/devices/mr-1" in run("container", "list", site).stdout
    listed = json.loads(run("container", "list", "--json").stdout)
    assert site in [container["name"] for container in listed]

    assert run("container", "update", site, "--enforcement", "disabled").returncode == 0
    shown = json.loads(run("container", "get", site, "--json").stdout)
    assert (shown["displayName"], shown["enforcement"]) == ("A clinic", "ENFORCEMENT_DISABLED")

    refused = run("container", "delete", site)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert run("container", "delete", f"{site}/devices/mr-1").returncode == 0
    assert run("container", "delete", site).returncode == 0
    assert run("container", "get", site).returncode == 1


def test_the_audit_is_listed_exported_and_verified(run: Run, project: str, tmp_path: Path) -> None:
    """Who did what is shown, comes out as JSON lines or CSV, and a change of those is found."""
    site = site_of(project)
    assert run("profile", "set", site, "-", stdin=VALID).returncode == 0

    listed = run("audit", "list", site)
    assert listed.stdout.splitlines()[1].split()[-2:] == ["profile.set", site]
    assert len(json.loads(run("audit", "list", project, "--json").stdout)) == 1
    header, *rows = run("audit", "export", site, "--format", "csv").stdout.splitlines()
    assert header.startswith("site,number,time,action,resource")
    assert len(rows) == 4
    heads = tmp_path / "heads.jsonl"
    heads.write_text(run("audit", "heads").stdout)
    verified = run("audit", "verify", "--heads", str(heads))
    assert (verified.returncode, verified.stderr) == (0, "")
    assert f"{site}: verified, events 1 to 4." in verified.stdout.splitlines()
    exported = run("audit", "export", site).stdout
    (tmp_path / "audit.jsonl").write_text(exported)
    assert run("audit", "verify", "--file", str(tmp_path / "audit.jsonl")).returncode == 0
    (tmp_path / "audit.jsonl").write_text(exported.replace("profile.set", "profile.get"))
    found = run("audit", "verify", "--file", str(tmp_path / "audit.jsonl"))
    assert found.returncode == 1
    assert f"{site}: BROKEN: event 4" in found.stderr


def test_profiles_are_compared_by_what_they_do(run: Run, project: str, tmp_path: Path) -> None:
    """Versions and files are compared by elements; an old one is restored as a new one."""
    site = site_of(project)
    other = tmp_path / "other.yaml"
    other.write_text(VALID.replace("PatientName", "PatientID"))
    for text, note in ((VALID, "First."), (f"{VALID}# the same\n", "Only a comment.")):
        assert run("profile", "set", site, "-", "--note", note, stdin=text).returncode == 0

    same = run("profile", "diff", f"{site}@1", site)
    assert (same.returncode, same.stdout) == (0, "No element is treated differently.\n")
    differ = run("profile", "diff", site, str(other))
    assert differ.returncode == 1
    assert "PatientID, at the top level\n  - stays\n  + becomes 'REDACTED'" in differ.stdout
    dry = run("profile", "set", site, str(other), "--dry-run")
    assert f"{site} would have version 3: valid" in dry.stdout
    assert "PatientName, at the top level\n  - becomes 'REDACTED'" in dry.stdout
    assert run("profile", "get", site).stdout == f"{VALID}# the same\n"

    assert run("profile", "restore", site, "--version", "1").returncode == 0
    assert run("profile", "get", site).stdout == VALID
    # Bare, too, as in earlier releases.
    assert run("profile", "restore", site, "2").returncode == 0
    assert run("profile", "get", site, "4").stdout == f"{VALID}# the same\n"
    versions = run("profile", "versions", site).stdout
    assert "Version 1 again." in versions
    assert "Only a comment." in versions


def test_a_second_person_approves(
    installation: Installation, up: Up, run: Run, project: str, tmp_path: Path
) -> None:
    """What one proposes is shown, and made when the holder of another key approves it."""
    site = site_of(project)
    key = tmp_path / "second.key"
    made = run("access", "key", "create", "--on", site, "--role", "site-admin", "--out", str(key))
    assert made.returncode == 0, made.stderr
    assert run("container", "update", site, "--require-approval").returncode == 0

    refused = run("profile", "set", project, "-", stdin=VALID)
    assert refused.returncode == 1
    assert "propose the change" in refused.stderr
    proposed = run("profile", "set", project, "-", "--propose", "--note", "Why.", stdin=VALID)
    assert (proposed.returncode, proposed.stderr) == (0, "")
    approve = shlex.split(proposed.stdout.partition("runs: deidcascade ")[2])
    number = approve[-1]
    assert run("change", "show", project, number).stdout == VALID
    assert run("profile", "get", project).returncode == 1
    assert run(*approve).returncode == 1
    variables = up.addresses | {"DEIDCASCADE_KEY_FILE": str(key)}
    second = installation.run(*approve, **variables)
    assert (second.returncode, second.stderr) == (0, "")
    assert run("profile", "get", project).stdout == VALID

    file = tmp_path / "trial.csv"
    file.write_text("original,code\n1,A\n")
    setting = ("table", "set", site, "trial", str(file))
    assert "propose the change" in run(*setting).stderr
    proposed = run(*setting, "--propose")
    approve = shlex.split(proposed.stdout.partition("runs: deidcascade ")[2].splitlines()[0])
    shown = run("change", "show", site, approve[-1]).stdout
    assert shown.split()[-1] == sha256(file.read_bytes()).hexdigest()
    assert installation.run(*approve, **variables).returncode == 0
    assert run(*setting).returncode == 0
    assert run("keys", "rotate", site, "--propose").returncode == 0

    off = run("container", "update", site, "--no-require-approval", "--propose")
    approve = shlex.split(off.stdout.partition("runs: deidcascade ")[2])
    assert run("change", "reject", *approve[-2:]).returncode == 0
    assert " rejected " in run("change", "list", site).stdout


def test_a_lock_is_shown(run: Run, project: str) -> None:
    """A site that is locked says so, and so do the resolutions of what is below."""
    site = site_of(project)
    for container in (site, project):
        assert run("profile", "set", container, "-", stdin=VALID).returncode == 0
    locked = run("container", "update", site, "--lock-profile")
    assert "profile:      locked" in locked.stdout
    resolved = run("profile", "resolve", project)
    assert f"{project}: {site}/profile version 1 applies." in resolved.stdout
    assert resolved.stdout.count("a level above is locked") == 2
    assert run("container", "update", site, "--unlock-profile").returncode == 0
    assert f"{project}/profile version 1" in run("profile", "resolve", project).stdout


def test_the_tree_says_what_is_in_force(run: Run, project: str) -> None:
    """The tree shows for each project and device what happens to its files, and why."""
    site = site_of(project)
    assert run("profile", "set", site, "-", stdin=VALID).returncode == 0
    invalid = run("profile", "set", project, "-", "--allow-invalid", stdin=INVALID)
    assert invalid.returncode == 0
    assert run("container", "create", f"{site}/devices/d").returncode == 0

    done = run("container", "list", "--tree", site)

    assert (done.returncode, done.stderr) == (0, "")
    lines = {
        line.split()[1]: line for line in done.stdout.splitlines()[1:] if len(line.split()) > 1
    }
    assert f"the profile of {site}, version 1; {project} has an invalid one" in done.stdout
    assert "rejected: no level has a valid profile" in done.stdout
    assert len(lines) >= 2


def test_a_person_is_asked_before_something_is_gone(
    installation: Installation, up: Up, run: Run, project: str
) -> None:
    """On a terminal, deleting and switching off say what will happen, and ask."""
    site = site_of(project)
    for arguments, told in (
        (("delete", project), "will be gone for good"),
        (("update", site, "--enforcement", "disabled"), "will go through unchanged, identified"),
    ):
        command = shlex.join([installation.command, "container", *arguments])
        leader, follower = pty.openpty()
        with child(
            subprocess.Popen(
                ["bash", "-c", command],
                stdin=follower,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=installation.environment(**up.addresses),
            )
        ) as process:
            os.close(follower)
            os.write(leader, b"n\n")
            said, _ = process.communicate(timeout=60)
        os.close(leader)

        assert told in said
        assert process.returncode != 0
    assert run("container", "get", project).returncode == 0
    assert json.loads(run("container", "get", site, "--json").stdout)["enforcement"] == (
        "ENFORCEMENT_ENFORCED"
    )
    assert run("container", "delete", project, "--yes").returncode == 0


def test_doctor(installation: Installation, up: Up, run: Run, project: str) -> None:
    """The doctor finds a deployment well, and tells swapped and wrong addresses and a refusal."""
    well = run("doctor")
    refused = run("doctor", "--to", project)
    assert run("profile", "set", project, "-", stdin=VALID).returncode == 0
    tried = run("doctor", "--to", project)
    swapped = installation.run(
        "doctor", "--profile-service", up.deid_service, "--deid-service", up.profile_service
    )
    nowhere = installation.run("doctor", "--profile-service=127.0.0.1:1", "--json", **up.addresses)

    assert (well.returncode, well.stderr) == (0, "")
    assert refused.returncode == 1
    assert "NO_VALID_PROFILE" in refused.stdout
    assert tried.returncode == 0
    assert "done by version 1 of its profile" in tried.stdout
    assert swapped.returncode == 1
    assert swapped.stdout.count("the addresses are swapped") == 2
    assert [each["what"] for each in json.loads(nowhere.stdout) if not each["well"]] == [
        "ProfileService at 127.0.0.1:1"
    ]


def test_profile_versions(run: Run, project: str) -> None:
    """A profile is set, counted, read back exactly, and cleared."""
    site = site_of(project)
    assert run("profile", "set", site, "-", stdin=VALID).returncode == 0
    second = VALID.replace("REDACTED", "ANONYMOUS")
    assert run("profile", "set", site, "-", stdin=second).returncode == 0

    assert run("profile", "get", site).stdout == second
    assert run("profile", "get", site, "--version", "1").stdout == VALID
    listed = json.loads(run("profile", "versions", site, "--json").stdout)
    assert [each["version"] for each in listed["profiles"]] == ["2", "1"]
    assert run("profile", "clear", site).returncode == 0
    assert run("profile", "get", site).returncode == 1


def test_invalid_profile_is_refused(run: Run, project: str) -> None:
    """An invalid profile is refused with every violation, and stored only when told so."""
    refused = run("profile", "set", project, "-", stdin=INVALID)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "UNKNOWN_KEYWORD" in refused.stderr
    assert "PatientName" in refused.stderr

    stored = run("profile", "set", project, "-", "--allow-invalid", stdin=INVALID)
    assert stored.returncode == 0
    resolved = run("profile", "resolve", project)
    assert resolved.returncode == 1
    assert "invalid" in resolved.stdout
    assert "UNKNOWN_KEYWORD" in resolved.stdout


def test_resolve_names_the_level(run: Run, project: str) -> None:
    """Resolving shows the level that applies, and the verdict on each."""
    assert run("profile", "set", site_of(project), "-", stdin=VALID).returncode == 0

    told = run("profile", "resolve", project)
    answer = json.loads(run("profile", "resolve", project, "--json").stdout)

    assert told.returncode == 0
    assert f"{site_of(project)}/profile version 1 applies" in told.stdout
    assert [level["verdict"] for level in answer["levels"]] == [
        "VERDICT_ABSENT",
        "VERDICT_ABSENT",
        "VERDICT_SELECTED",
    ]


def test_upload(run: Run, project: str, files: Path, tmp_path: Path) -> None:
    """An upload keeps what is complete, under names that tell nothing, and reports the rest."""
    assert run("profile", "set", site_of(project), "-", stdin=VALID).returncode == 0
    out = tmp_path / "out"

    done = run("upload", files, "--to", project, "--out", out, "--json")

    assert done.returncode == 1
    results = {result["source"]: result for result in json.loads(done.stdout)}
    assert {name for name, result in results.items() if result["output"]} == {
        "Doe^Jane.dcm",
        "below/mr.dcm",
    }
    assert results["half.dcm"]["reason"] == "TRUNCATED"
    assert results["notes.txt"]["reason"] == "NOT_DICOM"
    assert {str(path) for path in out.glob("[!.]*")} == {
        result["output"] for result in results.values() if result["output"]
    }
    for path in out.glob("[!.]*"):
        dataset = pydicom.dcmread(path)
        assert dataset.PatientName == "REDACTED"
        assert path.name == f"{dataset.SOPInstanceUID}.{dataset.Modality}.dcm"


def test_upload_without_a_profile(run: Run, project: str, files: Path, tmp_path: Path) -> None:
    """Where no level has a valid profile, the upload is refused with the verdict on each."""
    out = tmp_path / "out"

    done = run("upload", files, "--to", project, "--out", out)

    assert done.returncode == 1
    assert done.stderr.count("has no profile") == 3
    assert "no level has a valid profile" in done.stderr
    assert list(out.iterdir()) == []


def test_apply(installation: Installation, profile: Path, files: Path, tmp_path: Path) -> None:
    """The engine alone gives the same as an upload, and needs no server."""
    out = tmp_path / "out"

    done = installation.run("apply", "--profile", profile, files, "--out", out)

    assert done.returncode == 1
    assert done.stdout == f"2 de-identified, 1 rejected, 1 skipped. Output is in {out}.\n"
    assert "rejected half.dcm: TRUNCATED" in done.stderr
    assert "skipped notes.txt: it is no DICOM file" in done.stderr
    assert [pydicom.dcmread(path).PatientName for path in out.glob("*.dcm")] == ["REDACTED"] * 2


def test_apply_keeps_names(
    installation: Installation, profile: Path, files: Path, tmp_path: Path
) -> None:
    """With --keep-names the relative paths stay, and another run overwrites nothing."""
    (files / "half.dcm").unlink()
    (files / "notes.txt").unlink()
    out = tmp_path / "out"

    first = installation.run("apply", "--profile", profile, files, "--out", out, "--keep-names")
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")}
    again = installation.run("apply", "--profile", profile, files, "--out", out, "--keep-names")
    files.rename(tmp_path / "others")
    others = tmp_path / "others"
    other = installation.run("apply", "--profile", profile, others, "--out", out, "--keep-names")

    assert (first.returncode, first.stderr) == (0, "")
    assert set(written) == {out / "Doe^Jane.dcm", out / "below" / "mr.dcm"}
    assert (again.returncode, again.stdout) == (0, f"2 done earlier. Output is in {out}.\n")
    assert other.returncode == 1
    assert other.stderr.count("exists already") == 2
    assert written == {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")}


def test_preview_shows_what_changes(installation: Installation, profile: Path) -> None:
    """A preview lists the elements that change, before and after, and no others."""
    (ct,) = dicom_files("CT_small.dcm")

    done = installation.run("preview", "--profile", profile, ct, "--json")

    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["path"]: row for row in json.loads(done.stdout)}
    assert {"PatientName", "SOPInstanceUID", "MediaStorageSOPInstanceUID"} <= set(rows)
    assert rows["PatientName"]["before"] == "CompressedSamples^CT1"
    assert rows["PatientName"]["after"] == "REDACTED"
    assert "PatientID" not in rows


def test_preview_shows_what_remains(installation: Installation, profile: Path) -> None:
    """A preview also lists what stays as it was although it looks identifying."""
    (ct,) = dicom_files("CT_small.dcm")

    listed = installation.run("preview", "--profile", profile, ct, "--remaining", "--json")
    told = installation.run("preview", "--profile", profile, ct)

    rows = {row["path"]: row for row in json.loads(listed.stdout)}
    assert rows["PatientID"]["value"] == "1CT1"
    assert rows["OtherPatientIDsSequence[0].PatientID"]["value"] == "ABCD1234"
    assert "PatientName" not in rows
    assert "What stays as it was although it looks identifying" in told.stdout
    assert "private" in told.stdout


def test_pages_for_a_browser(
    installation: Installation, profile: Path, files: Path, tmp_path: Path
) -> None:
    """A preview and a test write pages that show what they print, with pictures."""
    (ct,) = dicom_files("CT_small.dcm")
    preview, inventory = tmp_path / "preview.html", tmp_path / "inventory.html"

    one = installation.run("preview", "--profile", profile, ct, "--html", preview)
    all_ = installation.run("profile", "test", profile, files, "--html", inventory)

    assert (one.returncode, all_.returncode) == (0, 1)
    assert "CompressedSamples^CT1" in preview.read_text(encoding="utf-8")
    assert preview.read_text(encoding="utf-8").count("data:image/png;base64,") == 2
    assert "half.dcm" in inventory.read_text(encoding="utf-8")


def test_a_profile_is_tested_on_a_folder(
    installation: Installation, profile: Path, files: Path, tmp_path: Path
) -> None:
    """The inventory of a folder says what `apply` then does to its files and their elements."""
    done = installation.run("profile", "test", profile, files, "--json")
    told = installation.run("profile", "test", profile, files)
    applied = installation.run("apply", "--profile", profile, files, "--out", tmp_path, "--json")

    assert (done.returncode, told.returncode) == (1, 1)
    inventory = json.loads(done.stdout)
    outcomes = Counter(one["outcome"] for one in json.loads(applied.stdout))
    assert inventory["files"] == outcomes["de-identified"] == 2
    assert inventory["skipped"] == outcomes["skipped"] == 1
    assert [one["source"] for one in inventory["rejected"]] == ["half.dcm"]
    assert [kind["sopClass"] for kind in inventory["kinds"]] == [
        "CT Image Storage",
        "MR Image Storage",
    ]
    rows = {row["path"]: row for row in inventory["elements"]}
    assert (rows["PatientName"]["fates"], rows["PatientName"]["by"]) == (
        {"changes": 2},
        ["replace-with"],
    )
    assert rows["PatientID"]["fates"] == {"stays": 2}
    assert rows["PatientID"]["remainingValues"] == ["1CT1", "4MR1"]
    assert rows["PatientID"]["looksIdentifying"]
    assert "CT Image Storage" in told.stdout
    assert "half.dcm" in told.stdout


@pytest.mark.parametrize(("text", "code"), [(VALID, 0), (INVALID, 1), ("", 1), ("dicom: {", 1)])
def test_validate(installation: Installation, text: str, code: int) -> None:
    """Validating says with the exit code what it prints, for people and for programs."""
    told = installation.run("profile", "validate", "-", stdin=text)
    answer = installation.run("profile", "validate", "-", "--json", stdin=text)

    assert (told.returncode, answer.returncode) == (code, code)
    found = json.loads(answer.stdout)
    assert found["validity"] == ("VALIDITY_INVALID" if code else "VALIDITY_VALID")
    assert bool(found["violations"]) == bool(code)
    for violation in found["violations"]:
        assert violation["code"] in told.stderr
    assert "Traceback" not in told.stderr + answer.stderr


def test_validate_points_at_the_place(installation: Installation) -> None:
    """A violation is printed with its line of the text and a caret below it."""
    done = installation.run("profile", "validate", "-", stdin=INVALID)

    lines = done.stderr.splitlines()
    at = next(i for i, line in enumerate(lines) if "{name: PatientNme, remove: true}" in line)
    assert lines[at + 1].index("^") == lines[at].index("PatientNme")


@pytest.mark.parametrize(
    "arguments",
    [
        ("container",),
        ("container", "create"),
        ("container", "create", "sites/a", "--enforcement", "perhaps"),
        ("container", "update", "sites/a"),
        ("profile", "validate", "no-such-file.yaml"),
        ("profile", "get", "sites/a", "--version", "0"),
        ("profile", "get", "sites/a", "1", "--version", "1"),
        ("profile", "restore", "sites/a"),
        ("upload", "no-such-folder", "--to", "x", "--out", "y"),
        ("upload", "--to", "x", "--out", "y"),
        ("apply", "--out", "y", "."),
        ("preview",),
        ("up", "--profile-port", "70000"),
        ("nonsense",),
        ("--nonsense",),
    ],
    ids=" ".join,
)
def test_misuse(installation: Installation, arguments: tuple[str, ...]) -> None:
    """A wrong command line gives exit code 2 and says what is wrong, with no traceback."""
    done = installation.run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_below_the_source(installation: Installation, profile: Path, files: Path) -> None:
    """Output is never written where it would be read again."""
    done = installation.run("apply", "--profile", profile, files, "--out", files / "out")

    assert done.returncode == 2
    assert not (files / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("container", "list"),
        ("profile", "resolve", "sites/a/devices/b"),
    ],
    ids=" ".join,
)
def test_profile_service_is_not_there(
    installation: Installation, arguments: tuple[str, ...]
) -> None:
    """A ProfileService that is not there is named with its address and what to try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    done = installation.run(*arguments, DEIDCASCADE_PROFILE_SERVICE=address)

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert address in line
    assert "deidcascade up" in line


def test_health(installation: Installation, up: Up) -> None:
    """The health command says with its exit code whether a service serves."""
    assert installation.run("health", up.profile_service).returncode == 0
    assert installation.run("health", up.deid_service).returncode == 0
    assert installation.run("health", "127.0.0.1:1").returncode == 1


def test_version_is_that_of_the_sources(installation: Installation) -> None:
    """An installed copy has the version of the sources that it was made from."""
    done = installation.run("--version")

    assert (done.returncode, done.stdout) == (0, f"deidcascade {ENGINE_VERSION}\n")


@pytest.mark.parametrize(
    ("redirected", "said"),
    [
        ("profile validate - <&-", "EMPTY_DOCUMENT"),
        ("profile explain profile.yaml >/dev/full", "cannot be written: No space left on device"),
        ("profile validate --json profile.yaml >/dev/full", "cannot be written: No space"),
        ("--help >/dev/full", "cannot be written: No space left on device"),
        ("profile validate --json profile.yaml | true", ""),
    ],
)
def test_standard_streams_that_do_not_work(
    installation: Installation, profile: Path, redirected: str, said: str
) -> None:
    """Standard streams that are closed, full or not read end the command with a sentence."""
    done = subprocess.run(
        ["bash", "-c", f"{installation.command} {redirected}"],
        cwd=profile.parent,
        env=installation.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert said in done.stderr
    assert (done.returncode == 0) == (said == "")


def test_output_never_goes_into_a_file_by_mistake(
    installation: Installation, profile: Path, files: Path, tmp_path: Path
) -> None:
    """With all standard streams closed, what would be printed is in no output."""
    out = tmp_path / "out"
    command = f"{installation.command} apply --profile {profile} {files} --out {out}"
    closed = ["bash", "-c", f"{command} <&- >&- 2>&-"]

    done = subprocess.run(closed, env=installation.environment(), check=False)

    assert done.returncode == 1
    assert [pydicom.dcmread(path).PatientName for path in out.glob("*.dcm")] == ["REDACTED"] * 2


def test_help_without_a_home(installation: Installation) -> None:
    """Help is there for a user that has neither a home nor a name."""
    command = [sys.executable, "-c", NAMELESS, installation.command]
    environment = installation.environment()
    del environment["HOME"]
    for arguments in (["--help"], ["up", "--help"]):
        done = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage:" in done.stdout


# Runs a script as a user without a name, as containers do; only root can become one.
NAMELESS = """
import os, runpy, sys, pwd
def nobody(*_):
    raise KeyError
pwd.getpwuid = pwd.getpwnam = nobody
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
