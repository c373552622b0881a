"""The files under deploy/: valid by the schemas of those who read them, and hardened throughout.

What has been run, and how, says docs/deployment.md; these are the checks that need no container,
and hold what a run found.
"""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from consent_app import config as consent_config
from remote_signing.rssp import config as rssp_config
from remote_signing.sam import config as sam_config
from tests.support.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DEPLOY = ROOT / "deploy"
YAML = sorted(DEPLOY.rglob("*.yaml"))
MANIFESTS = [path for path in YAML if path.parent.name == "kubernetes"]
STYLE = YamlLintConfig(
    "{extends: default, rules: {line-length: {max: 160}, document-start: disable,"
    " braces: disable, comments: {min-spaces-from-content: 1}}}"
)
USER = 10001

Tree = dict[str, Any]


def documents(path: Path) -> list[Tree]:
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each]


def objects(kind: str) -> dict[str, Tree]:
    found = (each for path in MANIFESTS for each in documents(path))
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def pods() -> dict[str, Tree]:
    return {
        name: each["spec"]["template"]
        for kind in ("Deployment", "StatefulSet", "Job")
        for name, each in objects(kind).items()
    }


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_yaml_is_well_formed_and_tidy(path: Path) -> None:
    text = path.read_text("utf-8")
    assert [str(problem) for problem in linter.run(text, STYLE)] == []


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_are_what_kubernetes_takes(path: Path) -> None:
    for each in documents(path):
        kubernetes_validate.validate(each, "1.34", strict=True)


def test_kustomization_names_every_manifest_and_configuration() -> None:
    (made,) = documents(DEPLOY / "kustomization.yaml")
    assert sorted(made["resources"]) == [f"kubernetes/{path.name}" for path in MANIFESTS]
    named = [file for each in made["configMapGenerator"] for file in each["files"]]
    assert sorted(named) == [f"config/{path.name}" for path in sorted(DEPLOY.glob("config/*"))]


def test_pods_are_nobody_and_write_nowhere() -> None:
    assert set(pods()) == {"rssp", "consent", "sam", "migrate"}
    for name, pod in pods().items():
        spec = pod["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"], name
        assert security["runAsUser"] == USER
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "env" not in container, "secrets and settings are files"
            assert {"requests", "limits"} == set(container["resources"])
        for volume in spec["volumes"]:
            mode = volume.get("secret", {}).get("defaultMode", 0o440)
            assert mode == 0o440, volume


def test_services_are_probed_at_the_management_port_and_drain_in_time() -> None:
    probes = {"startupProbe": "startupz", "livenessProbe": "healthz", "readinessProbe": "readyz"}
    listen = rssp_config.load(DEPLOY / "config" / "rssp.toml").listen
    for name, pod in pods().items():
        if name == "migrate":
            continue
        (container,) = pod["spec"]["containers"]
        for probe, path in probes.items():
            assert container[probe]["httpGet"] == {"path": f"/{path}", "port": "management"}
        assert pod["spec"]["terminationGracePeriodSeconds"] > listen.notice + listen.drain
        assert objects("PodDisruptionBudget")[name]["spec"]["maxUnavailable"] == 1
    # The load balancer sees it before the notice is over.
    readiness = pods()["rssp"]["spec"]["containers"][0]["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < listen.notice


def test_only_the_sam_reaches_the_hsm_and_only_the_rssp_reaches_the_sam() -> None:
    policies = objects("NetworkPolicy")
    assert policies["nothing"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    (hsm,) = policies["sam"]["spec"]["egress"]
    network = ipaddress.ip_network(hsm["to"][0]["ipBlock"]["cidr"])
    for name, policy in policies.items():
        for rule in policy["spec"].get("egress", []):
            assert rule["to"], f"{name}: to everybody"
            blocks = [each["ipBlock"] for each in rule["to"] if "ipBlock" in each]
            for block in blocks:
                reached = ipaddress.ip_network(block["cidr"])
                spared = [ipaddress.ip_network(each) for each in block.get("except", [])]
                is_spared = any(network.subnet_of(each) for each in spared)  # type: ignore[arg-type] # both of version 4
                assert name == "sam" or is_spared or not reached.overlaps(network), name
        for rule in policy["spec"].get("ingress", []):
            assert rule["from"], f"{name}: from everybody"
    asks = [
        name
        for name, policy in policies.items()
        for rule in policy["spec"].get("egress", [])
        if {"podSelector": {"matchLabels": {"app": "sam"}}} in rule["to"]
    ]
    assert asks == ["rssp"]
    (ingress,) = policies["sam"]["spec"]["ingress"]
    assert ingress["from"] == [{"podSelector": {"matchLabels": {"app": "rssp"}}}]


def test_compose_keeps_networks_apart_and_services_small() -> None:
    (made,) = documents(DEPLOY / "compose.yaml")
    services: dict[str, Tree] = made["services"]
    members = {
        network: {name for name, each in services.items() if network in each["networks"]}
        for network in made["networks"]
    }
    sams, databases = {"sam-1", "sam-2"}, {"postgres", "standby-1", "standby-2"}
    assert members == {
        "edge": {"balancer", "rssp", "consent"},
        "sap": {"rssp", *sams},
        "data": {"rssp", "migrate", *databases},
        "hsm": sams,
    }
    (trial,) = documents(DEPLOY / "try" / "compose.yaml")
    hardened = [each for each in (*services.values(), *trial["services"].values()) if len(each) > 1]
    assert len(hardened) == len(services) + 2
    for each in hardened:
        assert each["read_only"] is True, each
        assert each["cap_drop"] == ["ALL"], each
        assert each["security_opt"] == ["no-new-privileges:true"], each
    for name, each in services.items():
        assert name == "balancer" or "ports" not in each, name
        for key, value in each.get("environment", {}).items():
            assert key.endswith("_FILE") or "PASSWORD" not in key, (key, value)
    for secret in made["secrets"].values():
        assert set(secret) == {"file"}


def test_hosts_at_their_most_leave_the_database_connections_to_spare() -> None:
    config = rssp_config.load(DEPLOY / "config" / "rssp.toml")
    most = objects("HorizontalPodAutoscaler")["rssp"]["spec"]["maxReplicas"]
    surge = objects("Deployment")["rssp"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    assert "replicas" not in objects("Deployment")["rssp"]["spec"], "the autoscaler's"
    # As docs/deployment.md has it: one of each worker for /readyz, two of each host for figures.
    of_host = config.listen.workers * (config.database.connections + 1) + 2
    settings = (DEPLOY / "postgres" / "postgresql.conf").read_text("utf-8")
    found = re.search(r"^max_connections = (\d+)$", settings, re.MULTILINE)
    assert found is not None
    assert (most + surge) * of_host < int(found[1]) - 20


def test_files_of_strangers_have_room_where_they_are_kept() -> None:
    config = rssp_config.load(DEPLOY / "config" / "rssp.toml")
    validation = config.validation
    # validation/desk.py: eight uploads for each file that is worked on or waits.
    uploads = 8 * (validation.workers + validation.waiting) * config.listen.workers
    assert uploads * validation.largest < 2 * 2**30
    (made,) = documents(DEPLOY / "compose.yaml")
    assert made["services"]["rssp"]["tmpfs"] == ["/tmp:size=3g"]  # noqa: S108 - in a container


def test_strangers_are_limited_at_both_addresses_and_the_consent_page_is_not_one() -> None:
    text = (DEPLOY / "haproxy.cfg").read_text("utf-8")
    plain, secure = re.split(r"^frontend \w+$", text, flags=re.MULTILINE)[1:]
    assert "http-request track-sc0 src table secure if open_pki\n" in plain
    assert "http-request deny deny_status 429 if open_pki { sc_http_req_rate(0)" in plain
    for rule in ("track-sc0 src", "deny deny_status 429"):
        assert f"http-request {rule} if open_to_all !services" in secure


def test_compose_gives_each_secret_to_whoever_reads_it() -> None:
    """A file has one owner: what two users read, the second reads by a further group."""
    (made,) = documents(DEPLOY / "compose.yaml")
    readers: dict[str, set[str]] = {name: set() for name in made["secrets"]}
    for service, each in made["services"].items():
        for secret in each.get("secrets", []):
            readers[secret if isinstance(secret, str) else secret["source"]].add(service)
    users = {name: each.get("user", "haproxy") for name, each in made["services"].items()}
    shared = {
        secret: services
        for secret, services in readers.items()
        if len({users[service] for service in services}) > 1
    }
    assert set(shared) == {"owner-password", "database-password"}
    assert set().union(*shared.values()) == {"postgres", "migrate", "rssp"}
    assert made["services"]["postgres"]["group_add"] == [f"{USER}"]
    assert all(readers.values())


def test_what_is_written_in_memory_belongs_to_who_writes_it() -> None:
    """`tmpfs:` alone makes root's; podman takes no owner there, so folders of users are volumes."""
    (made,) = documents(DEPLOY / "compose.yaml")
    for name, each in made["services"].items():
        assert set(each.get("tmpfs", [])) <= {"/tmp", "/tmp:size=3g"}, name  # noqa: S108 - in a container
        for volume in (volume for volume in each["volumes"] if "-run:" in volume):
            options = made["volumes"][volume.partition(":")[0]]["driver_opts"]
            user, group = each["user"].split(":")
            assert options["type"] == "tmpfs"
            assert options["o"] == f"uid={user},gid={group},mode=0700"
    places = re.findall(r"-run:(\S+)", (DEPLOY / "compose.yaml").read_text("utf-8"))
    assert sorted(places) == ["/run/sam"] * 2 + ["/var/run/postgresql"] * 3


def test_only_the_balancer_speaks_for_clients_and_its_address_is_nobody_elses() -> None:
    (made,) = documents(DEPLOY / "compose.yaml")
    address = made["services"]["balancer"]["networks"]["edge"]["ipv4_address"]
    (network,) = made["networks"]["edge"]["ipam"]["config"]
    given = ipaddress.ip_network(network["ip_range"])
    assert given.subnet_of(ipaddress.ip_network(network["subnet"]))  # type: ignore[arg-type] # both of version 4
    assert ipaddress.ip_address(address) not in given
    # What podman (10.88.0.0 and above) and docker (172.17.0.0 and above) give other networks.
    for pool in ("10.88.0.0/13", "10.96.0.0/11", "10.128.0.0/9", "172.16.0.0/12", "192.168.0.0/16"):
        assert not given.overlaps(ipaddress.ip_network(pool)), pool
    assert rssp_config.load(DEPLOY / "config" / "rssp.toml").proxy.trusted == (f"{address}/32",)
    # Those who are given an address there may ask for /healthz, as the consent page does.
    assert f"acl services src {given}\n" in (DEPLOY / "haproxy.cfg").read_text("utf-8")


def test_a_new_primary_needs_no_standby_to_begin_and_is_healthy_only_then() -> None:
    """Else CREATE ROLE waits for standbys that wait for the role to copy it with."""
    roles = (DEPLOY / "postgres" / "roles.sh").read_text("utf-8")
    assert roles.index("SET synchronous_commit = local;") < roles.index("CREATE ROLE")
    assert "synchronous_standby_names" in (DEPLOY / "postgres" / "postgresql.conf").read_text()
    (made,) = documents(DEPLOY / "compose.yaml")
    # The image serves its socket already while it runs roles.sh.
    assert "--host" in made["services"]["postgres"]["healthcheck"]["test"]


def test_a_standby_can_begin_again_and_need_not_wait_for_a_checkpoint() -> None:
    script = (DEPLOY / "postgres" / "standby.sh").read_text("utf-8")
    assert "--create-slot --if-not-exists" in script
    (copied,) = re.findall(r"pg_basebackup (?:.*\\\n)*.*", script)
    assert "--checkpoint fast" in copied
    assert "--create-slot" not in copied, "there is one from the attempt before"


def test_a_trial_is_prepared_with_everything_that_is_mounted(tmp_path: Path) -> None:
    folder = tmp_path / "trial"
    subprocess.run(["/bin/sh", DEPLOY / "try" / "prepare.sh", folder], check=True)
    made_later = {"custodians/ra.key", "ceremony/cluster.json"}
    for file in ("compose.yaml", "compose.override.yaml"):
        (made,) = documents(folder / file)
        for each in made["services"].values():
            mounts = [m.split(":")[0] for m in each.get("volumes", []) if m.startswith("./")]
            missing = {mount[2:] for mount in mounts if not (folder / mount).exists()}
            assert missing <= made_later
        for secret in made.get("secrets", {}).values():
            assert (folder / secret["file"]).stat().st_mode & 0o7737 == 0o400
    sam = sam_config.load(folder / "config" / "sam.toml")
    assert [node.environment for node in sam.nodes] == [
        {"SOFTHSM2_CONF": f"/var/lib/tokens/{node.name}/softhsm2.conf"} for node in sam.nodes
    ]
    assert consent_config.load(folder / "config" / "consent.toml").rssp.ca is not None
    rssp_config.load(folder / "config" / "rssp.toml")
    for authority, certificate, name in (
        ("public/sap-ca", "public/sam", "sam"),
        ("public/sap-ca", "public/rssp", "rssp"),
        ("public/database-ca", "database/server", "database"),
        ("public/names-ca", "balancer/names", "ky.example.vn"),
    ):
        tls = folder / "tls"
        judged = ["openssl", "verify", "-x509_strict", "-verify_hostname", name, "-CAfile"]
        files = [tls / f"{authority}.pem", tls / f"{certificate}.pem"]
        subprocess.run([*judged, *files], check=True)


def test_configurations_can_be_read_by_those_they_are_for() -> None:
    folder = DEPLOY / "config"
    rssp = rssp_config.load(folder / "rssp.toml")
    sam = sam_config.load(folder / "sam.toml")
    consent = consent_config.load(folder / "consent.toml")
    assert rssp.management is not None
    assert consent.management is not None
    assert sam.tls is not None
    assert sam.health_port == rssp.management.port == consent.management.port == 9400
    assert consent.rssp.url == rssp.urls.issuer
    # A call must outlast what the SAM may take, and an answer the rssp's own time.
    longest = 2 * (sam.deadlines.wait + sam.deadlines.activation)
    assert rssp.sam.timeout > longest
    assert consent.rssp.timeout >= rssp.sam.timeout
    text = (folder / "sam.toml").read_text("utf-8")
    assert "pin =" not in text
    # Below what is mounted: a volume may be root's, and only its owner may run `hsm` commands.
    assert sam.state_folder.parent == folder / "state"
    assert tomllib.loads(text)["nodes"][0]["pin_file"].startswith("secrets/")


def test_alerts_look_at_figures_that_there_are() -> None:
    told = (DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8")
    code = "".join(
        path.read_text("utf-8")
        for folder in ("remote_signing", "consent_app", "sim_adapter")
        for path in (ROOT / folder).rglob("figures*.py")
    ) + (ROOT / "remote_signing" / "sam" / "listeners.py").read_text("utf-8")
    watched = set(re.findall(r"\b(?:rssp|sam|consent|sim_adapter)_[a-z_]+", told))
    assert len(watched) > 10
    # Prometheus' client adds these endings by itself.
    ending = re.compile(r"_(?:total|bucket|sum|count)$")
    assert [
        name
        for name in watched
        if f'"{name}"' not in code and (f'"{ending.sub("", name)}"' not in code)
    ] == []


def test_image_runs_as_nobody_from_locked_packages() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    stages = text.split("\nFROM ")
    assert "--require-hashes -r requirements/run.lock" in text
    assert f"USER {USER}:{USER}" in stages[2]
    # SoftHSM's stage ends as nobody, too, and is not what is built when no stage is named.
    assert [line for line in stages[3].splitlines() if line.startswith("USER")][-1] == (
        f"USER {USER}:{USER}"
    )
    assert stages[-1].startswith("service")
    assert not any(word in text for word in ("ADD http", "curl ", "sudo", ":latest"))


def test_image_is_built_from_what_it_copies_and_nothing_else() -> None:
    """What is not named here never reaches the builder: secrets, environments, history."""
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        for name in line.split()
    }
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied


def test_what_the_balancer_says_in_our_place_is_there_and_needs_nothing_else() -> None:
    """Vietnamese first; nothing to be fetched, since there is nobody who would answer."""
    text = (DEPLOY / "haproxy.cfg").read_text("utf-8")
    (made,) = documents(DEPLOY / "compose.yaml")
    assert "./pages:/usr/local/etc/haproxy/pages:ro" in made["services"]["balancer"]["volumes"]
    names = set(re.findall(r"file /usr/local/etc/haproxy/pages/(\S+)", text))
    assert names == {path.name for path in (DEPLOY / "pages").iterdir()}
    for name in names:
        page = (DEPLOY / "pages" / name).read_text("utf-8")
        assert page.startswith('<!doctype html>\n<html lang="vi">')
        assert page.index("<h1>") < page.index('lang="en"') < page.index("<h2>")
        assert not re.search(r"https?:|src=|href=|<script|@import|url\(", page)
    for backend in re.split(r"^backend ", text, flags=re.MULTILINE)[1:]:
        assert re.findall(r"http-error status (\d+)", backend) == ["503", "502", "504"]
    for told in re.findall(r"string '(.*?)'", text):
        assert set(json.loads(told)) == {"error", "error_description"}
