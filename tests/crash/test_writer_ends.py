"""`kill -9` of the process that writes for all workers, again and again while clients are at work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from bench.processes import surroundings
from gateway.app import Catalogue
from gateway.startup.serve import simulators
from tests.crash.deployment import Deployment
from tests.crash.oracle import broken_parts, violations
from tests.crash.storm import CLIENTS, MOST_ASKED, ROUNDS, SEED
from tests.serving.process import children, writers
from tests.support.crashing import GatewayGroup, GatewayProcess, ReconciliationTimes, environment_of
from tests.support.databases import sqlite_address
from tests.support.mortal import mortal
from tests.support.patience import wait_until
from tests.support.sampling import amount
from tests.support.served import url_of

ENDS = ROUNDS or amount(whole=8, sample=4)


@contextmanager
def served(environment: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`jobgate serve` with two workers: the process and its URL."""
    command = mortal(str(Path(sys.executable).with_name("jobgate")), "serve", "--port", "0", "--workers", "2")
    with log.open("w", encoding="utf-8") as writing:
        process = subprocess.Popen(
            [*command, "--no-access-log"],
            stdout=subprocess.PIPE,
            stderr=writing,
            text=True,
            env={**surroundings(), **environment},
            start_new_session=True,
        )
    try:
        yield process, url_of(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.timeout(900 + 30 * ROUNDS)
def test_no_end_of_the_writer_loses_or_repeats_an_action(catalogue: Catalogue, tmp_path: Path) -> None:
    """However often the writer is killed, nothing acknowledged is lost, nothing sent twice, and all is settled."""
    address, log = sqlite_address(tmp_path), tmp_path / "gateway.log"
    chance = random.Random(SEED)  # noqa: S311 - a test that can be repeated must not be unpredictable
    with simulators(catalogue) as sandbox:
        environment = environment_of(address, catalogue, sandbox, ReconciliationTimes(vendor_seconds=5.0))
        with served(environment, log) as (process, url):
            group = GatewayGroup(cast("Any", None), environment, log)  # it starts no other gateway
            gateway = GatewayProcess(process.pid, url, time.monotonic())
            deployment = Deployment(sandbox, group, chance, [gateway])
            workers = children(process)
            with deployment.clients(CLIENTS):
                for _ in range(ENDS):
                    (writer,) = writers(process)
                    time.sleep(chance.uniform(0.02, 1.0))
                    os.kill(writer, signal.SIGKILL)
                    wait_until(lambda ended=writer: writers(process) not in ([], [ended]))  # type: ignore[misc]
                time.sleep(1.0)
            deployment.settle()
            for _ in range(MOST_ASKED):
                if deployment.ask_again():
                    deployment.settle()
            records, calls = deployment.records(), deployment.calls()
            assert children(process) == workers
            process.send_signal(signal.SIGTERM)
            process.wait()
    answers = [answer for wanted in deployment.wanted_actions for answer in wanted.answers]
    print(f"seed {SEED}: {ENDS} ends, {len(answers)} answers, {len(records)} records, {len(calls)} calls")  # noqa: T201
    assert violations(deployment.wanted_actions, records, calls) == []
    assert broken_parts(address) == []
    assert {wanted.answers[-1].outcome for wanted in deployment.wanted_actions if wanted.keys} == {"applied"}
    assert log.read_text("utf-8").count("was ended by SIGKILL") == ENDS
