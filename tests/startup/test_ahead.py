"""The needs of workers are loaded as soon as it is known that there are workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.startup import ahead
from tests.support.commands import write
from tests.support.patience import PATIENCE

INCOMPLETE = """
import gc, signal, sys
sys.modules["gateway.app.surfaces"] = None
try:
    import gateway.startup.preloaded
except ImportError as error:
    print(error.name, gc.isenabled(), *sorted(each.name for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())))
"""


@pytest.mark.parametrize(
    ("text", "options", "begins"),
    [
        ("", {}, False),
        ("", {"workers": 2}, True),
        ("server = { workers = 3 }", {}, True),
        ("server = { workers = 3 }", {"workers": None}, True),
        ("server = { workers = 3 }", {"workers": 1}, False),
        ('server = { workers = 2, host = "no host" }', {}, True),
        ("server = { workers = 2", {}, False),
    ],
)
def test_it_begins_if_the_settings_want_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, options: Mapping[str, object], begins: bool
) -> None:
    """File and options decide, mistakes elsewhere or not; what cannot be read is left to who checks the settings."""
    begun: list[str] = []
    monkeypatch.setattr(ahead, "preload", begun.append)
    ahead.load_ahead(write(tmp_path / "jobgate.toml", text), options)
    assert begun == [ahead.PRELOADED] * begins


def test_a_module_that_is_missing_leaves_the_process_in_order() -> None:
    """The process that workers are forked from collects garbage and holds signals, whatever cannot be imported."""
    command = [sys.executable, "-c", INCOMPLETE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert (done.stdout, done.stderr) == ("gateway.app.surfaces True SIGHUP SIGTERM\n", "")
