"""The manifests for Kubernetes: what they say is in its schemas, and in the services."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from deid_service.cli.health import health
from deid_service.serving import config as of_deid_service
from deid_service.serving.server import LAST_EVENTS_SECONDS, STOP_GRACE_SECONDS
from profile_service import config as of_profile_service
from profile_service.access.credentials import read_key
from profile_service.keys.files import parse_secret
from tests.unit.test_deploy import told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
SECRETS = ROOT / "deploy" / "secrets.sh"
KUBECTL = Path(sys.executable).with_name("kubectl")

# Those that the manifests ask for: a `sleep` before the end is from 1.30 on.
VERSIONS = ("1.32", "1.37")

# Kinds of the Prometheus operator, whose schemas are not among those of Kubernetes.
OF_OTHERS = {"PodMonitor"}

SERVICES = ("profile-service", "deid-service")
CERTIFICATES = ("ca.crt", *(f"{name}.{end}" for name in SERVICES for end in ("crt", "key")))

# What all connections to a database of the default size are, but for those of administrators.
CONNECTIONS = 97

Object = dict[str, Any]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifests, with what an operator adds to the example."""
    folder = tmp_path_factory.mktemp("kubernetes") / "kubernetes"
    shutil.copytree(KUBERNETES, folder, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([SECRETS, folder / "example" / "secrets"], check=True)
    for name in CERTIFICATES:
        (folder / "example" / "secrets" / name).write_text("of an authority")
    overlay = folder / "example" / "kustomization.yaml"
    text = overlay.read_text()
    assert "# components: [../monitoring]" in text
    overlay.write_text(text.replace("# components:", "components:"))
    return folder


@pytest.fixture(scope="module")
def objects(copy: Path) -> list[Object]:
    """All that `kubectl apply -k` would apply: the example, monitored."""
    made = subprocess.run(
        [KUBECTL, "kustomize", copy / "example"], check=True, capture_output=True, text=True
    )
    return list(yaml.safe_load_all(made.stdout))


def of_kind(objects: list[Object], *kinds: str) -> dict[str, Object]:
    """Returns the objects of some kinds, by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] in kinds}


def pods(objects: list[Object]) -> dict[str, Object]:
    """Returns the templates of all pods, by the name of what makes them."""
    made = of_kind(objects, "Deployment", "Job", "StatefulSet")
    return {name: each["spec"]["template"] for name, each in made.items()}


def variables(container: Object) -> dict[str, str]:
    """Returns what stands in the environment of a container, by itself."""
    return {each["name"]: each.get("value", "") for each in container["env"]}


@cache
def known(parse: Callable[[list[str], dict[str, str]], object]) -> frozenset[str]:
    """Returns the variables that a service knows, as its help names them."""

    @click.command()
    def tell() -> None:
        parse(["--help"], {})

    return frozenset(words(CliRunner().invoke(tell).output))


def words(text: str) -> Iterator[str]:
    """Gives what in a text can be the name of a variable of ours."""
    for word in text.replace("[", " ").replace("]", " ").replace(";", " ").split():
        if word.startswith("DEIDCASCADE_"):
            yield word


@pytest.mark.parametrize("version", VERSIONS)
def test_the_published_schemas_hold(objects: list[Object], version: str) -> None:
    """Each object is one of Kubernetes, with no field that it does not know."""
    seen = [each for each in objects if each["kind"] not in OF_OTHERS]

    for each in seen:
        kubernetes_validate.validate(each, version, strict=True)

    assert len(objects) - len(seen) == len(OF_OTHERS)


def test_the_schemas_can_fail(objects: list[Object]) -> None:
    """A field that is misspelt is found."""
    (budget,) = (
        each for name, each in of_kind(objects, "PodDisruptionBudget").items() if "deid" in name
    )

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            budget | {"spec": budget["spec"] | {"maxUnavailble": 1}}, VERSIONS[-1], strict=True
        )


def test_every_variable_is_one_of_the_service(objects: list[Object]) -> None:
    """Nothing is said to a service that it would not hear."""
    of_command = frozenset(words(CliRunner().invoke(health, ["--help"]).output))
    assert "DEIDCASCADE_TLS_CA" in of_command
    parsers = {"profile_service": of_profile_service.parse, "deid_service": of_deid_service.parse}
    checked = set()
    for name, pod in pods(objects).items():
        for container in pod["spec"]["containers"]:
            if container["image"].startswith("postgres"):
                continue
            module = container["command"][-1]
            assert set(variables(container)) <= known(parsers[module]) | of_command
            checked.add(name)
    assert checked == {*SERVICES, "set-up"}


def test_ports_agree(objects: list[Object]) -> None:
    """What is listened on is what is declared, probed, served under a name, and let through."""
    policies = of_kind(objects, "NetworkPolicy")
    for name in SERVICES:
        (container,) = pods(objects)[name]["spec"]["containers"]
        said = variables(container)
        prefix = f"DEIDCASCADE_{name.partition('-')[0].upper()}_"
        declared = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert said[f"{prefix}LISTEN"] == f"0.0.0.0:{declared['grpc']}"
        assert said[f"{prefix}METRICS"] == f"0.0.0.0:{declared['metrics']}"
        assert container["readinessProbe"]["exec"]["command"] == [
            *("deidcascade", "health", f"localhost:{declared['grpc']}")
        ]
        assert container["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
        (port,) = of_kind(objects, "Service")[name]["spec"]["ports"]
        assert (port["port"], port["targetPort"]) == (declared["grpc"], "grpc")
        assert allowed(policies[name]) == {declared["grpc"]}
        assert allowed(policies["metrics"]) == {declared["metrics"]}
    deid = variables(pods(objects)["deid-service"]["spec"]["containers"][0])
    assert deid["DEIDCASCADE_PROFILE_SERVICE"] == "profile-service:50051"


def allowed(policy: Object) -> set[int]:
    """Returns the ports at which a policy lets somebody in."""
    return {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}


def test_every_file_that_is_named_is_mounted(objects: list[Object]) -> None:
    """Each path of a variable is a key of a Secret that the example makes."""
    secrets = {name: set(each["data"]) for name, each in of_kind(objects, "Secret").items()}
    used = set()
    for pod in pods(objects).values():
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        for container in pod["spec"]["containers"]:
            mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
            named = [text for text in variables(container).values() if text.startswith("/secrets/")]
            for path in map(Path, named):
                secret = volumes[mounts[str(path.parent)]["name"]]["secret"]
                assert path.name in secrets[secret["secretName"]]
                # Read by the group of the pod, and by nobody else.
                assert secret["defaultMode"] == 0o440
                used.add(secret["secretName"])
            for volume in volumes.values():
                assert volume["name"] in {each["name"] for each in mounts.values()}
    assert used == set(secrets)


def test_what_the_script_makes_can_be_used(copy: Path) -> None:
    """Keys and passwords are ones, in a closed folder, and a second run leaves them."""
    folder = copy / "example" / "secrets"
    before = {path.name: path.read_text() for path in folder.iterdir()}
    subprocess.run([SECRETS, folder], check=True)

    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    first, second = (read_key(before[f"{name}.key"].strip()) for name in ("admin", "service"))
    assert first is not None
    assert second is not None
    assert first != second
    assert len(parse_secret(before["master.key"], "master.key")) == 32
    assert len(before["owner.password"]) == len(before["service.password"]) == 43
    assert folder.stat().st_mode & 0o777 == 0o700


def test_no_pod_can_do_more_than_it_needs(objects: list[Object]) -> None:
    """Each is a number without rights, reads its image, and has no token of the cluster."""
    for pod in pods(objects).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_the_user_is_that_of_the_image(objects: list[Object]) -> None:
    """The files of the image are readable by the user that the pods run as."""
    for name in (*SERVICES, "set-up"):
        context = pods(objects)[name]["spec"]["securityContext"]
        user = f"USER {context['runAsUser']}:{context['runAsGroup']}"
        assert user in (ROOT / "Dockerfile").read_text().splitlines()


def test_pods_have_the_time_to_end(objects: list[Object]) -> None:
    """Kubernetes kills nothing that is still finishing what is under way."""
    finishing = {
        "profile-service": of_profile_service.DRAIN_SECONDS,
        "deid-service": LAST_EVENTS_SECONDS + STOP_GRACE_SECONDS,
    }
    for name, seconds in finishing.items():
        spec = pods(objects)[name]["spec"]
        (container,) = spec["containers"]
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain = float(variables(container).get("DEIDCASCADE_DEID_DRAIN_SECONDS", 0))
        assert spec["terminationGracePeriodSeconds"] > pause + drain + seconds + 5


def test_labels_lead_to_what_they_are_for(objects: list[Object]) -> None:
    """Services, budgets, autoscalers and policies are of pods that there are."""
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(objects).items()}
    assert all(each["app.kubernetes.io/name"] == name for name, each in labels.items())
    for name, each in of_kind(objects, "Service", "PodDisruptionBudget").items():
        selector = each["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert wanted.items() <= labels[name].items()
    for name, each in of_kind(objects, "HorizontalPodAutoscaler").items():
        assert each["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in of_kind(objects, "Deployment")[name]["spec"]


def callers(policy: Object) -> set[tuple[str, str]]:
    """Returns whom a policy lets in: the labels of their namespace, and of their pods."""
    return {
        (labels_of(each.get("namespaceSelector")), labels_of(each.get("podSelector")))
        for rule in policy["spec"]["ingress"]
        for each in rule["from"]
    }


def labels_of(selector: Object | None) -> str:
    """Returns what a selector asks for; where there is none, the own namespace is meant."""
    if selector is None:
        return "own"
    return " ".join(f"{key}={value}" for key, value in selector.get("matchLabels", {}).items())


def test_who_reaches_whom(objects: list[Object]) -> None:
    """The database is ProfileService's, ProfileService is DeidService's and administrators'."""
    policies = of_kind(objects, "NetworkPolicy")
    name = "app.kubernetes.io/name"

    assert policies["nobody"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    assert callers(policies["postgresql"]) == {
        ("own", f"{name}=profile-service"),
        ("own", f"{name}=set-up"),
    }
    assert callers(policies["profile-service"]) == {
        ("own", f"{name}=deid-service"),
        ("", "deid-cascade/administers=true"),
    }
    assert callers(policies["metrics"]) == {
        ("kubernetes.io/metadata.name=monitoring", f"{name}=prometheus")
    }


def test_all_replicas_find_connections_to_the_database(objects: list[Object]) -> None:
    """As many replicas as there may be, and one more while they change, fit into a default one."""
    scaler = of_kind(objects, "HorizontalPodAutoscaler")["profile-service"]
    (container,) = pods(objects)["profile-service"]["spec"]["containers"]
    workers = variables(container)["DEIDCASCADE_PROFILE_WORKERS"]
    config = of_profile_service.parse([f"--workers={workers}"], {})
    each = config.workers * (config.readers + config.writers)

    assert (scaler["spec"]["maxReplicas"] + 1) * each <= CONNECTIONS


def test_workers_are_as_many_as_the_cores_that_are_asked_for(objects: list[Object]) -> None:
    """A replica has work for the cores that it was given, and no more."""
    for name in SERVICES:
        (container,) = pods(objects)[name]["spec"]["containers"]
        prefix = name.partition("-")[0].upper()
        workers = variables(container)[f"DEIDCASCADE_{prefix}_WORKERS"]
        assert workers == container["resources"]["requests"]["cpu"]


def test_what_is_scaled_on_is_told(objects: list[Object]) -> None:
    """The autoscaler waits for no metric that the services do not have."""
    asked = {
        metric["pods"]["metric"]["name"]
        for scaler in of_kind(objects, "HorizontalPodAutoscaler").values()
        for metric in scaler["spec"]["metrics"]
        if metric["type"] == "Pods"
    }

    assert asked
    assert asked <= told()
