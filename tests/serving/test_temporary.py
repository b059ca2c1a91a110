"""Temporary folders: those of killed processes, which may hold a key, are deleted by the next process; others stay."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gateway.serving.temporary import LOCK, temporary_folder
from gateway.settings.settings import ConfigurationError
from tests.serving.process import SECONDS

HOLD = """
import os, signal, sys, tempfile
tempfile.tempdir = sys.argv[1]
from gateway.settings.settings import ConfigurationError
from gateway.serving.temporary import temporary_folder
with temporary_folder("jobgate-tls-") as folder:
    (folder / "key.pem").write_text("a private key")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for what is temporary."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_for_its_block(place: Path) -> None:
    """A temporary folder is readable by its owner only and deleted after its block."""
    with temporary_folder("jobgate-tls-") as folder:
        assert folder.parent == place
        assert folder.name.startswith("jobgate-tls-")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_deleted(place: Path) -> None:
    """The folder of a killed process is deleted by the next process; the folder of a living one stays."""
    command = [sys.executable, "-c", HOLD, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with temporary_folder("jobgate-tls-"):
            assert (left / "key.pem").exists()
        process.kill()
        process.wait(SECONDS)
        assert (left / "key.pem").exists()
        with temporary_folder("jobgate-tls-"):
            assert not left.exists()


def test_what_is_not_ours_stays(place: Path) -> None:
    """A folder without the lock, a file of the same name and a symbolic link are not deleted."""
    (place / "jobgate-tls-mine").mkdir()
    (place / "jobgate-tls-file").touch()
    elsewhere = place / "elsewhere"
    elsewhere.touch()
    (place / "jobgate-tls-link").mkdir()
    (place / "jobgate-tls-link" / LOCK).symlink_to(elsewhere)
    with temporary_folder("jobgate-tls-"):
        pass
    assert {each.name for each in place.iterdir()} == {
        *("jobgate-tls-mine", "jobgate-tls-file", "jobgate-tls-link", "elsewhere")
    }


def test_where_none_can_be_made_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a temporary folder gets a message that names TMPDIR."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="Set TMPDIR"), temporary_folder("jobgate-tls-"):
        pass
