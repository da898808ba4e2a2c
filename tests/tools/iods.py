"""Makes iod_needs.tsv of profile_service/language/standard of the modules of highdicom.

The modules are 22 MB of JSON, which is why no copy stands beside this, as those of the
other tables do; docs/standard.md says which release they were taken from.

Usage: python -m tests.tools.iods FOLDER        `_standard` of an installed highdicom
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword

from profile_service.language.model import Element
from profile_service.language.standard import attributes
from tests.tools.standard import PACKAGE, written

# What the standard treats by VR, wherever it stands.
BY_VR: Final = frozenset({"DA", "DT", "PN", "TM", "UI"})

# PS3.5 7.4: what must have a value, and what must be there. A type that holds under a
# condition is taken to hold.
TYPES: Final = {"1": 1, "1C": 1, "2": 2, "2C": 2}


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if len(arguments) != 1:
        print("Usage: python -m tests.tools.iods FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    classes, iods, modules = (
        json.loads((folder / f"{name}.json").read_text("utf-8"))
        for name in ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    )
    needs: dict[tuple[int, str, str], int] = {}
    for iod in sorted(set(classes.values())):
        for module in iods[iod]:
            for attribute in modules.get(module["key"], ()):
                tag = tag_for_keyword(attribute["keyword"])
                kind = TYPES.get(attribute["type"])
                if tag is None or kind is None or not is_treated(tag):
                    continue
                key = (tag, "items" if attribute["path"] else "top", iod)
                needs[key] = min(kind, needs.get(key, kind))
    by_need: dict[tuple[int, str, int], list[str]] = {}
    for (tag, place, iod), kind in needs.items():
        by_need.setdefault((tag, place, kind), []).append(iod)
    lines = [("tag", "place", "type", "iods")]
    for (tag, place, kind), named in sorted(by_need.items()):
        lines.append((f"{tag:08x}", place, str(kind), ",".join(sorted(named))))
    (PACKAGE / "iod_needs.tsv").write_text(written(lines), "utf-8")
    rows = [("uid", "iod"), *sorted(classes.items())]
    (PACKAGE / "sop_classes.tsv").write_text(written(rows), "utf-8")
    return 0


def is_treated(tag: int) -> bool:
    """Whether what the standard does to an element can depend on its type."""
    return Element(tag) in TREATED or dictionary_VR(tag) in BY_VR


TREATED: Final = frozenset(each.element for each in attributes())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
