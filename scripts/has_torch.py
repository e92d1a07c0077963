"""Exit 0 when this interpreter already has a torch that the project can use; make then reuses it."""

from importlib.metadata import version

major, minor = map(int, version("torch").split(".")[:2])
raise SystemExit(not (2, 11) <= (major, minor) < (2, 14))
