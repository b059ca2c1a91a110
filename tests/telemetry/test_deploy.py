"""The dashboard and the alerts in deploy/, checked by Prometheus' own tool against a gateway that runs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app.gauges import ledger_gauges
from gateway.client import Client
from gateway.startup.serve import Running
from gateway.telemetry.gathering import Gatherer
from tests.support.tools import tool

DEPLOY = Path(__file__).parents[2] / "deploy"
OF_PROMETHEUS = {"up"}
"""Metrics that Prometheus itself makes."""
_NAME = re.compile(r"\b(?:jobgate|http)_[a-z_]+\b|\bup\b")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)|\{[^}]*\}")


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus' tool."""
    return tool("promtool", "prometheus")


@pytest.fixture(scope="module")
def page(stack: Running, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The metrics of a running gateway that has done something."""
    with Client(stack.url, stack.api_key) as client:
        client.connections()
    kept = stack.gateway.settings.model_copy(update={"state_folder": tmp_path_factory.mktemp("ledger")})
    with ledger_gauges(kept) as ledger:
        return Gatherer(ledger).scrape().decode()


def run(*command: str, said: str | None = None) -> str:
    """Run a command that must succeed, and return what it prints."""
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=False, cwd=DEPLOY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    """The alerts."""
    return [rule for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def expressions(panels: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The expressions of a dashboard, each with the title of its panel."""
    for panel in panels:
        yield from ((panel["title"], each["expr"]) for each in panel.get("targets", ()))
        yield from expressions(panel.get("panels", ()))


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    made: dict[str, Any] = json.loads((DEPLOY / "dashboard.json").read_text())
    return made


def shown(page: str) -> set[str]:
    """The names of all series that a page has or will have, with those of a histogram."""
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE)
    parts = {name: ("_bucket", "_count", "_sum") if kind == "histogram" else ("",) for name, kind in kinds}
    return {name + part for name, each in parts.items() for part in each}


def test_every_metric_of_an_alert_or_a_panel_is_served(page: str) -> None:
    """No alert and no panel asks for a metric that the gateway does not have."""
    asked = [(rule["alert"], rule["expr"]) for rule in rules()] + list(expressions(dashboard()["panels"]))
    assert len(asked) > 40
    for title, expression in asked:
        names = set(_NAME.findall(_LABELS.sub("", expression)))
        assert names, title
        assert names <= shown(page) | OF_PROMETHEUS, title


def test_promtool_accepts_the_metrics(promtool: str, page: str) -> None:
    """The page follows Prometheus' rules for names, types and help."""
    assert run(promtool, "check", "metrics", said=page) == ""


def test_promtool_accepts_the_alerts(promtool: str) -> None:
    """The alerts are valid."""
    assert "SUCCESS" in run(promtool, "check", "rules", "alerts.yaml")


def test_each_alert_fires_and_keeps_quiet(promtool: str) -> None:
    """Each alert has a test in which it keeps quiet and then fires, and promtool runs them all."""
    tests = yaml.safe_load((DEPLOY / "alerts.test.yaml").read_text())["tests"]
    for rule in rules():
        (own,) = (each for each in tests if each["name"] == rule["alert"])
        assert [bool(each["exp_alerts"]) for each in own["alert_rule_test"]] == [False, True], rule["alert"]
    assert "SUCCESS" in run(promtool, "test", "rules", "alerts.test.yaml")


def test_promtool_accepts_the_dashboard(promtool: str, tmp_path: Path) -> None:
    """The expressions of all panels are valid."""
    made = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, (_, expr) in enumerate(expressions(dashboard()["panels"]))
    ]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": made}]}))
    assert "SUCCESS" in run(promtool, "check", "rules", str(tmp_path / "panels.yaml"))


def test_promtool_accepts_the_configuration(promtool: str, tmp_path: Path) -> None:
    """The example of a configuration is valid, with the alerts beside it."""
    assert "SUCCESS" in run(promtool, "check", "config", "prometheus.yaml")
