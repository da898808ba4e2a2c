"""De-identifies files with one peer's own basic profile. Runs in the peers' environment.

Reads {"peer", "folder", "into"} as JSON; answers with the names of the files that have an
output, or with an error.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path


def dicom_anonymizer(source: Path, target: Path) -> None:
    """The package dicom-anonymizer, as it comes."""
    from dicomanonymizer import anonymize_dicom_file

    anonymize_dicom_file(str(source), str(target))


def dicognito(folder: Path) -> Callable[[Path, Path], None]:
    """The package dicognito, one anonymizer for all files."""
    import pydicom
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer(seed=str(folder))

    def run(source: Path, target: Path) -> None:
        with pydicom.dcmread(source, force=True) as dataset:
            anonymizer.anonymize(dataset)
            dataset.save_as(target)

    return run


def main() -> None:
    """Answers one request."""
    request = json.loads(sys.stdin.read())
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    folder, into = Path(request["folder"]), Path(request["into"])
    done = []
    run = dicom_anonymizer if request["peer"] == "dicom-anonymizer" else dicognito(folder)
    for source in sorted(folder.glob("*.dcm")):
        try:
            run(source, into / source.name)
            done.append(source.name)
        except Exception:  # noqa: BLE001, S112
            continue
    print(json.dumps(done))


main()
