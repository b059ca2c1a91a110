"""The socket of the process that writes for all workers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from gateway.serving.writing import common_writer
from gateway.settings.settings import ConfigurationError


def test_a_path_that_is_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where temporary folders have longer paths than a socket may, the message says how to mend it."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with (
        pytest.raises(ConfigurationError, match="Set TMPDIR to a folder with a short path"),
        common_writer("sqlite:///x"),
    ):
        pass
    assert list(folder.iterdir()) == []
