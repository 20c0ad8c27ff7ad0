"""What lies in deploy/ fits the service: its metrics, routes, settings and files."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.keys import Key, digest_of, new_key
from service.settings import Settings
from tests.helpers import client_of

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
# What Prometheus itself adds.
OF_PROMETHEUS = {"instance", "job"}
CLOSING_S = 10

Labels = dict[str, dict[str, set[str]]]


def load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboard.json").read_text("utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in load("prometheus/alerts.yaml")["groups"] for rule in group["rules"]]


def expressions() -> list[tuple[str, str]]:
    """Each expression with the text beside it that may name labels of its result."""
    of_panels = [
        (target["expr"].replace("$__rate_interval", "5m"), target["legendFormat"])
        for panel in panels()
        for target in panel["targets"]
    ]
    of_alerts = [(rule["expr"], rule["annotations"]["summary"]) for rule in alerts()]
    return of_panels + of_alerts


def parts(expression: Any, kind: type) -> list[Any]:
    """All parts of a parsed expression that are of one kind."""
    found: list[Any] = []

    def note(node: Any) -> None:
        if isinstance(node, kind):
            found.append(node)

    promql_parser.walk(expression, note)
    return found


def selectors(expression: Any) -> list[Any]:
    """What names a metric."""
    return parts(expression, promql_parser.VectorSelector)


@pytest.fixture
async def exposed(client: httpx.AsyncClient) -> Labels:
    """Every name that /metrics shows after a little use, with its labels and their values."""
    await client.post("/texts:bulk", json={"items": [{"id": "a", "text": "a dog"}]})
    await client.post("/search/text-to-image", json={"query": "a dog"})
    text = (await client.get("/metrics")).text
    found: Labels = {"up": {}}
    for family in text_string_to_metric_families(text):
        if not family.samples:
            # The recall, which takes a large collection; what its labels are is tested elsewhere.
            found[family.name] = {"kind": set()}
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


@pytest.mark.anyio
async def test_dashboard_and_alerts_ask_for_what_metrics_show(exposed: Labels) -> None:
    assert len(expressions()) > 30
    for expression, _ in expressions():
        for selector in selectors(promql_parser.parse(expression)):
            assert selector.name in exposed, expression
            there = exposed[selector.name]
            for matcher in selector.matchers.matchers:
                assert matcher.name in there.keys() | OF_PROMETHEUS, expression
                if matcher.name == "stage":
                    assert matcher.value in there["stage"], expression


@pytest.mark.anyio
async def test_what_can_be_chosen_on_the_dashboard_is_a_label(exposed: Labels) -> None:
    chosen = [one for one in dashboard()["templating"]["list"] if one["type"] == "query"]
    assert [one["name"] for one in chosen] == ["instance", "direction"]
    for one in chosen:
        query = re.fullmatch(r"label_values\((\w+), (\w+)\)", one["query"]["query"])
        assert query is not None
        metric, label = query.groups()
        assert label in exposed[metric].keys() | OF_PROMETHEUS


@pytest.mark.anyio
async def test_what_is_summed_and_shown_by_a_label_has_that_label(exposed: Labels) -> None:
    for expression, shown in expressions():
        parsed = promql_parser.parse(expression)
        summed = parts(parsed, promql_parser.AggregateExpr)
        for aggregation in summed:
            by = set(aggregation.modifier.labels) if aggregation.modifier else set()
            for selector in selectors(aggregation.expr):
                assert by <= exposed[selector.name].keys() | OF_PROMETHEUS, expression
        if summed:
            left = [set(one.modifier.labels) if one.modifier else set() for one in summed]
        else:
            left = [exposed[s.name].keys() | OF_PROMETHEUS for s in selectors(parsed)]
        for label in re.findall(r"\{\{ ?(?:\$labels\.)?([a-z_]+) ?\}\}", shown):
            assert all(label in labels for labels in left), (expression, label)


@pytest.mark.anyio
async def test_every_metric_is_documented_with_its_labels(exposed: Labels) -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    documented = {
        name: set(re.findall(r"`([a-z]+)`", labels))
        for name, labels in re.findall(r"^\| `(sightline_[a-z_]+)` \| ([^|]*)\|", text, re.M)
    }
    there: dict[str, set[str]] = {}
    for name, labels in exposed.items():
        if name.startswith("sightline_"):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            there.setdefault(family, set()).update(labels.keys() - {"le"})
    assert documented == there


@pytest.mark.anyio
async def test_what_an_alert_compares_with_nothing_is_there_from_the_start(
    client: httpx.AsyncClient,
) -> None:
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    zero = [one for family in families for one in family.samples if one.value == 0]
    compared = [rule for rule in alerts() if re.search(r"(rate|increase)\(.*\) > 0$", rule["expr"])]
    assert len(compared) >= 4
    for rule in compared:
        for selector in selectors(promql_parser.parse(rule["expr"])):
            wanted = {one.name: one.value for one in selector.matchers.matchers}.items()
            found = [one for one in zero if one.name == selector.name]
            assert any(wanted <= one.labels.items() for one in found), rule["alert"]


@pytest.mark.anyio
async def test_prometheus_may_scrape_a_service_with_keys(settings: Settings) -> None:
    text = (DEPLOY / "prometheus/prometheus.yaml").read_text(encoding="utf-8")
    stanza = re.findall(r"^    # (authorization:\n(?:    #   .*\n)+)", text, re.MULTILINE)
    authorization = yaml.safe_load(stanza[0].replace("    #", ""))["authorization"]
    # Relative to the file that names it, in a folder that compose mounts.
    assert "/" not in authorization["credentials_file"]
    key = new_key()
    entry = Key("prometheus", "read", digest_of(key.encode())).line
    async with client_of(settings.model_copy(update={"keys": entry})) as client:
        headers = {"authorization": f"{authorization['type']} {key}"}
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers=headers)).status_code == 200


def test_panels_have_names_of_their_own_and_lie_beside_each_other() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in dashboard()["panels"]):
        across = range(place["x"], place["x"] + place["w"])
        down = range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in across for y in down}
        assert across.stop <= 24
        assert not cells & taken
        taken |= cells


def test_every_alert_says_how_bad_it_is_and_what_is_wrong() -> None:
    assert len({rule["alert"] for rule in alerts()}) == len(alerts()) > 5
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]


def test_what_compose_mounts_is_there_and_found_where_it_is_looked_for() -> None:
    watched = load("compose.watched.yaml")
    own = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    mounted = {}
    for service in watched["services"].values():
        for volume in service["volumes"]:
            source, target = volume.split(":")[:2]
            if source.startswith("./"):
                # Relative to the first file, compose.yaml.
                assert (ROOT / source).exists(), source
                mounted[target] = ROOT / source
            else:
                assert source in watched["volumes"]
    scrape = load("prometheus/prometheus.yaml")
    [job] = scrape["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert own["services"][name]["ports"][0].endswith(f":{port}")
    assert [(DEPLOY / "prometheus" / file).exists() for file in scrape["rule_files"]] == [True]
    assert f'up{{job="{job["job_name"]}"}} == 0' in [rule["expr"] for rule in alerts()]
    [provider] = load("grafana/provider.yaml")["providers"]
    home = watched["services"]["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert mounted[home] == DEPLOY / "grafana/dashboard.json"
    assert home.startswith(provider["options"]["path"])
    [source] = load("grafana/datasource.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_kubernetes_waits_as_long_as_the_service_takes_to_stop() -> None:
    claim, deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"))
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]["type"]) == (
        1,
        "Recreate",
    )
    template = deployment["spec"]["template"]
    pod = template["spec"]
    [container] = pod["containers"]
    set_here = {one["name"]: one["value"] for one in container["env"]}
    settings = Settings.model_validate(
        {name.removeprefix("SIGHTLINE_").lower(): value for name, value in set_here.items()}
    )
    stopping = settings.drain_delay_s + settings.shutdown_grace_s
    assert pod["terminationGracePeriodSeconds"] >= stopping + CLOSING_S
    probe = container["readinessProbe"]
    noticed = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    assert settings.drain_delay_s > noticed

    paths = create_app(Settings()).openapi()["paths"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["httpGet"]["path"] in paths
    assert template["metadata"]["annotations"]["prometheus.io/path"] in paths
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    # Liveness doesn't wait for a queue, so that a busy service isn't killed.
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    [port] = container["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]

    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    assert f"SIGHTLINE_PORT={port['containerPort']} " in dockerfile
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert f"SIGHTLINE_DATA_DIR={mounts['data']} " in dockerfile
    assert volumes.keys() == mounts.keys()
    named = volumes["data"]["persistentVolumeClaim"]["claimName"]
    assert named == claim["metadata"]["name"]
