"""Proves: a run folder's records survive what a machine lacks."""

from importlib import metadata

import pytest

import mothello
from mothello.rundir import environment


def test_without_installed_metadata_a_version_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    versions = environment()["versions"]
    assert versions.pop("mothello") == mothello.__version__  # which the package knows by itself
    assert set(versions.values()) == {"unknown"}
