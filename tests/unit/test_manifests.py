"""The Kubernetes base is valid, and its check sees each way in which a pod could be less safe."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.k8s.check import SERVICES, BuildFailed, Manifest, build, policy_faults, schema_faults
from libs.runtime.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def base() -> list[Manifest]:
    return build()


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    return next(m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)


def container(
    manifests: list[Manifest], kind: str = "Deployment", name: str = "orderlog-routing"
) -> Manifest:
    [only] = find(manifests, kind, name)["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_the_base_keeps_the_policy(base: list[Manifest]) -> None:
    assert list(policy_faults(base)) == []


@pytest.mark.parametrize("service", SERVICES)
def test_each_stage_runs_its_own_module_behind_its_own_service(base: list[Manifest], service: str) -> None:
    deployment = find(base, "Deployment", f"orderlog-{service}")
    assert container(base, name=f"orderlog-{service}")["args"] == [f"services.{service}.app"]
    pod_labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert find(base, "Service", f"orderlog-{service}")["spec"]["selector"].items() <= pod_labels.items()
    others = [find(base, "Service", f"orderlog-{other}") for other in SERVICES if other != service]
    assert not any(other["spec"]["selector"].items() <= pod_labels.items() for other in others)


def test_every_pod_reads_the_generated_settings(base: list[Manifest]) -> None:
    [settings] = [m["metadata"]["name"] for m in base if m["kind"] == "ConfigMap"]
    pods = [m for m in base if m["kind"] in ("Deployment", "Job")]
    assert len(pods) == len(SERVICES) + 1
    for pod in pods:
        [only] = pod["spec"]["template"]["spec"]["containers"]
        assert only["envFrom"] == [{"configMapRef": {"name": settings}}]


def drop_hardening(manifests: list[Manifest]) -> None:
    del container(manifests)["securityContext"]


def run_as_root(manifests: list[Manifest]) -> None:
    find(manifests, "Job", "orderlog-migrate")["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = 0


def raise_memory(manifests: list[Manifest]) -> None:
    container(manifests)["resources"]["limits"]["memory"] = "1Gi"


def forget_probe(manifests: list[Manifest]) -> None:
    del container(manifests)["readinessProbe"]


def take_token(manifests: list[Manifest]) -> None:
    del find(manifests, "Deployment", "orderlog-routing")["spec"]["template"]["spec"][
        "automountServiceAccountToken"
    ]


def misspell_setting(manifests: list[Manifest]) -> None:
    next(m for m in manifests if m["kind"] == "ConfigMap")["data"]["ORDERLOG_PARTITION"] = "12"


def float_image(manifests: list[Manifest]) -> None:
    container(manifests)["image"] = "orderlog:latest"


def lose_stage(manifests: list[Manifest]) -> None:
    manifests.remove(find(manifests, "Deployment", "orderlog-returns"))


def write_secret(manifests: list[Manifest]) -> None:
    manifests.append({"kind": "Secret", "metadata": {"name": "orderlog-database"}, "data": {"url": "eA=="}})


@pytest.mark.parametrize(
    ("weaken", "expected"),
    [
        (drop_hardening, "Deployment orderlog-routing: container orderlog: its root filesystem is writable"),
        (drop_hardening, "Deployment orderlog-routing: container orderlog: it may gain privileges"),
        (drop_hardening, "Deployment orderlog-routing: container orderlog: it keeps Linux capabilities"),
        (run_as_root, "Job orderlog-migrate: the pod may run as root"),
        (raise_memory, "Deployment orderlog-routing: container orderlog: its memory limit is not 256Mi"),
        (
            forget_probe,
            "Deployment orderlog-routing: container orderlog: its readiness probe does not ask /readyz",
        ),
        (take_token, "Deployment orderlog-routing: the pod gets a token for the Kubernetes API, unused here"),
        (
            float_image,
            "Deployment orderlog-routing: container orderlog: image orderlog:latest has no fixed version",
        ),
        (lose_stage, "Deployment orderlog-returns is missing"),
        (
            write_secret,
            "Secret orderlog-database: a secret's value has no place in a manifest; refer to it instead",
        ),
    ],
)
def test_what_a_patch_could_break_is_named(
    base: list[Manifest], weaken: Callable[[list[Manifest]], None], expected: str
) -> None:
    weakened = deepcopy(base)
    weaken(weakened)
    assert expected in list(policy_faults(weakened))


def test_a_misspelt_setting_is_named(base: list[Manifest]) -> None:
    weakened = deepcopy(base)
    misspell_setting(weakened)
    [fault] = policy_faults(weakened)
    assert fault.endswith("ORDERLOG_PARTITION is no setting, so it would be ignored")


def test_the_schema_refuses_an_unknown_field(base: list[Manifest]) -> None:
    weakened = [deepcopy(find(base, "Deployment", "orderlog-intake"))]
    container(weakened, name="orderlog-intake")["imagePolicy"] = "Always"
    [fault] = schema_faults(weakened, "1.37")
    assert fault.startswith(
        "Deployment orderlog-intake: Kubernetes 1.37 refuses spec.template.spec.containers.0"
    )


def test_a_folder_without_kustomization_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="kustomize cannot build"):
        build(tmp_path)


def test_compose_runs_the_same_stages_from_one_image() -> None:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    for service in SERVICES:
        assert services[service]["command"] == [f"services.{service}.app"]
        assert services[service]["image"] == services["migrate"]["image"]
        assert services[service]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    settings = services["intake"]["environment"]
    assert {name.removeprefix("ORDERLOG_").lower() for name in settings} <= Settings.model_fields.keys()
    # What is secret comes as a file: anyone who may inspect a container reads its environment.
    assert not any("@" in value for value in settings.values())
    assert {"stack.env", "jwt.json", "master.key"} == set(services["intake"]["secrets"])
