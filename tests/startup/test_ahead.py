"""What workers need is loaded as soon as it is known that there are workers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.startup import ahead
from tests.support.commands import write


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
