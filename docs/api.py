"""Writes the API pages to docs/api, which open in a browser without a network: python docs/api.py."""

import sys
from pathlib import Path
from pkgutil import iter_modules

import pdoc

import mothello

OUT = Path(__file__).with_name("api")


def main(out: Path = OUT) -> None:
    """A page for every module; the package's own shows what it exports."""
    names = list(mothello.__all__)
    vars(mothello).update(
        {name: getattr(mothello, name) for name in names}
    )  # they are imported when they are first used
    mothello.__all__ = [*names, *(found.name for found in iter_modules(mothello.__path__) if found.name != "__main__")]
    pdoc.render.configure(docformat="restructuredtext", show_source=True)
    pdoc.pdoc("mothello", "!mothello.__main__", output_directory=out)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
