"""The process that workers are forked from loads what it is told to, and not the program that starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.serving.process import SECONDS

PROGRAM = """
import multiprocessing
print("the program is loaded", flush=True)
if __name__ == "__main__":
    from gateway.serving.forking import preload, start
    preload("preloaded")
    process = multiprocessing.get_context("forkserver").Process(target=print, args=("a process runs",))
    start(process)
    process.join()
    import sys
    print("the program is there" if vars(sys.modules["__main__"]) is globals() else "gone")
"""


def test_workers_do_not_load_the_program_that_starts_them(tmp_path: Path) -> None:
    """The module is loaded before a process is forked; the program, such as the command line, only where it runs."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "preloaded.py").write_text("print('the module is loaded', flush=True)", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    said = ["the program is loaded", "the module is loaded", "a process runs", "the program is there"]
    assert (done.stdout.splitlines(), done.stderr) == (said, "")
