"""Builds the kustomize base and refuses what would not run, or would run less safely than promised.

    python -m deploy.k8s.check [FOLDER]

Three layers: kustomize can build it; every object fits the schema of the oldest and the newest Kubernetes
we support; and our own policy holds for every container, so that a patch which misses one pod is seen here
and not in a cluster.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from libs.runtime.settings import STAGES, Settings

BASE = Path(__file__).parent / "base"
KUBERNETES_VERSIONS = ("1.33", "1.37")
"""Oldest and newest that the manifests must suit."""
MEMORY_LIMIT = "256Mi"
SERVICES = (*STAGES, "console")

Manifest = dict[str, Any]


class BuildFailed(Exception):
    """kustomize refused the folder, or there is none to run; the text is for the user."""


def build(folder: Path = BASE) -> list[Manifest]:
    """The objects that `kubectl apply -k folder` would send. Blocks for about half a second.

    BuildFailed: with kustomize's own words.
    """
    own = Path(sys.executable).parent / "kubectl"
    kubectl = str(own) if own.exists() else shutil.which("kubectl")
    if kubectl is None:
        raise BuildFailed("kubectl is not installed: run `make setup`, which brings it.")
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise BuildFailed(f"kustomize cannot build {folder}: {done.stderr.strip()}")
    return [manifest for manifest in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if manifest]


def title(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def schema_faults(manifests: Iterable[Manifest], version: str) -> Iterator[str]:
    """What the API server of that Kubernetes version would refuse, unknown fields included."""
    for manifest in manifests:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as refused:
            path = ".".join(map(str, refused.path)) or "the object"
            yield f"{title(manifest)}: Kubernetes {version} refuses {path}: {refused.message}"
        except kubernetes_validate.SchemaNotFoundError as unknown:
            yield f"{title(manifest)}: {unknown.message}"


def policy_faults(manifests: Iterable[Manifest]) -> Iterator[str]:
    """Where the objects miss what the docs promise: hardening, probes, limits, real settings, every stage."""
    manifests = list(manifests)
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job"):
            for fault in _pod_faults(manifest):
                yield f"{title(manifest)}: {fault}"
        if manifest["kind"] == "ConfigMap":
            for key in manifest.get("data", {}):
                if key.removeprefix("ORDERLOG_").lower() not in Settings.model_fields:
                    yield f"{title(manifest)}: {key} is no setting, so it would be ignored"
        if manifest["kind"] == "Secret":
            yield f"{title(manifest)}: a secret's value has no place in a manifest; refer to it instead"
    yield from _missing_objects({title(manifest) for manifest in manifests})


def _missing_objects(present: set[str]) -> Iterator[str]:
    for service in SERVICES:
        for kind in ("Deployment", "Service", "PodDisruptionBudget"):
            if f"{kind} orderlog-{service}" not in present:
                yield f"{kind} orderlog-{service} is missing"
    if "Job orderlog-migrate" not in present:
        yield "Job orderlog-migrate is missing"


def _pod_faults(manifest: Manifest) -> Iterator[str]:
    pod = manifest["spec"]["template"]["spec"]
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "the pod may run as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod's seccomp profile is not RuntimeDefault"
    if pod.get("automountServiceAccountToken") is not False or pod.get("serviceAccountName") != "orderlog":
        yield "the pod gets a token for the Kubernetes API, unused here"
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        for fault in _container_faults(container, serves=manifest["kind"] == "Deployment"):
            yield f"container {container['name']}: {fault}"


def _container_faults(container: Manifest, serves: bool) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root filesystem is writable"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "it may gain privileges"
    if context.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "it keeps Linux capabilities"
    resources = container.get("resources", {})
    if resources.get("limits", {}).get("memory") != MEMORY_LIMIT:
        yield f"its memory limit is not {MEMORY_LIMIT}"
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
        yield "it requests no CPU or no memory"
    if ":" not in container["image"] or container["image"].endswith(":latest"):
        yield f"image {container['image']} has no fixed version"
    if serves:
        for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
            if container.get(f"{probe}Probe", {}).get("httpGet", {}).get("path") != path:
                yield f"its {probe} probe does not ask {path}"


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else BASE
    try:
        manifests = build(folder)
    except BuildFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    faults = [fault for version in KUBERNETES_VERSIONS for fault in schema_faults(manifests, version)]
    faults += policy_faults(manifests)
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print(f"{len(faults)} faults in {folder}; nothing was applied.", file=sys.stderr)
        return 1
    print(f"{len(manifests)} objects built, valid for Kubernetes {' and '.join(KUBERNETES_VERSIONS)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
