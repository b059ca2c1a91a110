"""SIGHUP: new settings take effect without a dropped request, and bad ones do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.serving.process import AT_LENGTH, SECONDS
from tests.support.mortal import mortal
from tests.support.patience import wait_until
from tests.support.served import url_of

CALLERS = """
rate_limit = "none"
{server}

[callers.desk]
key = "key-of-desk-number-{number}"
scopes = ["*"]

[callers.watch]
key = "key-of-watch"
scopes = ["*"]
"""


@dataclass
class ReloadingGateway:
    """A gateway with its settings in a file."""

    folder: Path
    workers: int
    process: subprocess.Popen[str] = field(init=False)
    url: str = ""
    said: list[str] = field(default_factory=list)
    listening: threading.Thread = field(init=False)

    def listen(self) -> None:
        """Take down what it says from now on."""
        assert self.process.stdout is not None
        self.listening = threading.Thread(target=self.said.extend, args=(self.process.stdout,), daemon=True)
        self.listening.start()

    def write(self, number: int, server: str = "") -> None:
        """Write the settings, in which `desk` has its key of this number."""
        self.write_text(CALLERS.format(number=number, server=server))

    def write_text(self, text: str) -> None:
        """Write the settings."""
        file = self.folder / "jobgate.toml"
        file.touch(0o600)
        file.write_text(text, encoding="utf-8")

    def reload(self) -> None:
        """Have them read again."""
        self.process.send_signal(signal.SIGHUP)

    def status(self, number: int) -> int:
        """What `desk` gets with its key of this number."""
        headers = {"Authorization": f"Bearer key-of-desk-number-{number}", "Connection": "close"}
        return requests.get(f"{self.url}/v1/vendors", headers=headers, timeout=SECONDS).status_code

    def wait_for(self, number: int) -> None:
        """Wait until every worker takes the key of this number, and the one before no more."""
        end = time.monotonic() + SECONDS
        in_a_row = 0
        while in_a_row < 20:
            in_a_row = in_a_row + 1 if (self.status(number), self.status(number - 1)) == (200, 401) else 0
            assert time.monotonic() < end
            time.sleep(0.05)

    def wait_for_words(self, words: str, times: int) -> None:
        """Wait until it has said something so often."""
        wait_until(lambda: "".join(self.said).count(words) >= times, SECONDS)

    def stopped(self) -> str:
        """Stop it; gives what it said."""
        self.process.terminate()
        self.process.wait(SECONDS)
        self.listening.join(SECONDS)
        return "".join(self.said)


@contextmanager
def reloading_gateway(folder: Path, workers: int) -> Iterator[ReloadingGateway]:
    """One that serves."""
    made = ReloadingGateway(folder, workers)
    made.write(1)
    command = [str(Path(sys.executable).with_name("jobgate")), "serve", "--port", "0", "--workers", str(workers)]
    made.process = subprocess.Popen(
        mortal(*command, "--no-access-log", "--config", str(folder / "jobgate.toml")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "JOBGATE_STATE_FOLDER": str(folder / "state")},
        start_new_session=True,
    )
    try:
        made.url = url_of(made.process)
        made.listen()
        yield made
    finally:
        if made.process.poll() is None:
            os.killpg(made.process.pid, signal.SIGKILL)
            made.process.wait(SECONDS)
        if made.process.stdout is not None:
            made.listening.join(SECONDS)
            made.process.stdout.close()


@contextmanager
def asked_all_the_time(url: str, clients: int = 6) -> Iterator[Counter[str]]:
    """Ask on connections that are kept, until the block ends; gives how often there was which answer."""
    answers: Counter[str] = Counter()
    is_over = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = "Bearer key-of-watch"
            while not is_over.is_set():
                try:
                    answers[str(session.get(f"{url}/v1/vendors", timeout=SECONDS).status_code)] += 1
                except requests.RequestException as error:
                    answers[type(error).__name__] += 1

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("workers", [1, 2] if AT_LENGTH else [1])
def test_new_settings_count_and_no_request_is_dropped(tmp_path: Path, workers: int) -> None:
    """Under load, a new key replaces the old one on reload, and no other request is refused."""
    with reloading_gateway(tmp_path, workers) as made:
        assert (made.status(1), made.status(2)) == (200, 401)
        with asked_all_the_time(made.url) as answers:
            made.write(2)
            made.reload()
            made.wait_for(2)
            wait_until(lambda: sum(answers.values()) > 50, SECONDS)
        assert set(answers) == {"200"}
        said = made.stopped()
    assert said.count("the settings were reloaded") == 1
    assert "Traceback" not in said


UNKNOWN_VENDOR = """
[connections.a]
vendor = "nobody"
endpoint = "https://a.test"
authentication = { kind = "signature", scheme = "accessKey", secret = "zz" }
"""
BAD = {
    "not TOML": ("[", "cannot be read as TOML"),
    "a mistake": ('rate_limit = "often"\napi_key = "a"', "rate_limit"),
    "an unknown vendor": (UNKNOWN_VENDOR, "nobody is not installed"),
    "another port": (CALLERS.format(number=9, server="[server]\nhost = '127.0.0.2'"), "server.host: cannot change"),
    "another ledger": (
        f"database_url = 'postgresql://db.test/x'\n{CALLERS.format(number=9, server='')}",
        "database_url: cannot change",
    ),
}


REFUSED = "were not reloaded; the old ones stay in use"


@pytest.mark.parametrize(("workers", "bad"), [(1, list(BAD)), *([(2, ["a mistake"])] if AT_LENGTH else [])])
def test_bad_settings_change_nothing(tmp_path: Path, workers: int, bad: list[str]) -> None:
    """Bad settings leave the old ones in place, and the log says what is wrong or needs a restart."""
    with reloading_gateway(tmp_path, workers) as made:
        for number, name in enumerate(bad, 1):
            made.write_text(BAD[name][0])
            made.reload()
            made.wait_for_words(REFUSED, number)
            assert (made.status(1), made.status(9)) == (200, 401)
        said = made.stopped()
    assert all(BAD[name][1] in said for name in bad)
    assert said.count(REFUSED) == len(bad)
    assert "Traceback" not in said
