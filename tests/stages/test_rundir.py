"""Proves: a run folder's records survive what a machine lacks."""

from importlib import metadata

import pytest

from mothello.rundir import environment


def test_without_installed_metadata_a_version_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert set(environment()["versions"].values()) == {"unknown"}
