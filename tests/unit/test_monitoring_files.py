"""What lies in ``deploy/monitoring``: it is sound, and its parts belong together. Real metrics: tests/integration/test_prometheus.py."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tests.prometheus import CHECKOUT, DASHBOARDS, MONITORING, RULES, expressions, named, promtool, rules

RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def test_prometheus_finds_its_configuration_and_rules_sound() -> None:
    promtool("check", "config", "--syntax-only", str(MONITORING / "prometheus/prometheus.yml"))
    promtool("check", "rules", *map(str, RULES))


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    promtool("test", "rules", str(Path(__file__).parent / "prometheus/rules_test.yml"))


def test_each_alert_is_tested_and_says_what_to_do() -> None:
    tests = yaml.safe_load((Path(__file__).parent / "prometheus/rules_test.yml").read_text())["tests"]
    tested = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    alerts = [rule for rule in rules() if "alert" in rule]
    assert tested == {rule["alert"] for rule in alerts}
    for rule in alerts:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]


def test_what_is_recorded_is_used_and_what_is_used_is_recorded() -> None:
    used = {name for expression in expressions().values() for name in named(expression) if ":" in name}
    assert used == RECORDED


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_one_that_grafana_reads(path: Path) -> None:
    dashboard = orjson.loads(path.read_bytes())
    (source,) = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert panels
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}, panel["title"]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_dashboards_have_addresses_of_their_own_and_lead_to_each_other() -> None:
    boards = {board["uid"]: board for board in (orjson.loads(path.read_bytes()) for path in DASHBOARDS)}
    assert set(boards) == {"fleet-overview", "fleet-source", "fleet-hub"}
    assert "/d/fleet-source/" in str(boards["fleet-overview"])
    (variable,) = boards["fleet-source"]["templating"]["list"]
    assert variable["definition"] == "label_values(fleet_source_info, source)"


def compose() -> dict[str, Any]:
    return yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_a_service_of_monitoring_has_no_power_and_is_reached_from_this_machine_alone(name: str) -> None:
    service = compose()["services"][name]
    assert service["profiles"] == ["monitoring"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"].split(":")[0] not in ("", "0", "root")
    assert service["mem_limit"] and service["pids_limit"]
    assert all(str(port).startswith("127.0.0.1:") for port in service["ports"])
    assert not set(service["networks"]) & {"database", "crawl", "scale", "api"}
    assert ":latest" not in service["image"] and ":" in service["image"]


def test_grafana_does_not_reach_the_hub_and_nobody_s_password_is_in_the_file() -> None:
    services = compose()["services"]
    assert not set(services["grafana"]["networks"]) & set(services["hub"]["networks"])
    assert set(services["grafana"]["networks"]) & set(services["prometheus"]["networks"])
    assert set(services["hub"]["networks"]) & set(services["prometheus"]["networks"])
    assert services["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"].startswith("/secrets/grafana/")


def test_what_the_services_mount_is_there() -> None:
    for name in ("prometheus", "grafana"):
        for mount in compose()["services"][name]["volumes"]:
            source, _, target = mount.partition(":")
            assert not source.startswith("./") or (CHECKOUT / source).exists(), mount
            assert target
