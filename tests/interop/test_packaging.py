"""What is in packaging/ is valid: manifests by the schemas of Kubernetes, the unit by systemd, the Dockerfile by hadolint."""

import pathlib
import subprocess
import sys

import kubernetes_validate
import yaml
from harness import CATCHMENT, Case

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
# The oldest and the newest version that the manifests are for and that schemas are at hand for.
KUBERNETES = ("1.33", "1.37")
PROGRAM = "/usr/bin/catchment"
MIB = {"Mi": 1, "Gi": 1024}


def output(*arguments, **options):
    """What a program prints, both ways; it must end well."""
    run = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=60, **options)
    assert run.returncode == 0, f"{arguments}: {run.stdout}{run.stderr}"
    return run.stdout + run.stderr


class Kubernetes(Case):
    def manifests(self, name):
        documents = list(yaml.safe_load_all((PACKAGING / "kubernetes" / f"{name}.yaml").read_text()))
        for version in KUBERNETES:
            for document in documents:
                kubernetes_validate.validate(document, version, strict=True)
        return {document["kind"]: document for document in documents}

    def check(self, name, kind):
        """The pipeline is that of pipelines/, valid where the container runs it, and the container may do little."""
        manifests = self.manifests(name)
        text = manifests["ConfigMap"]["data"]["catchment.yaml"]
        self.assertEqual(text, (ROOT / "pipelines" / f"{name}.yaml").read_text())
        pod = manifests[kind]["spec"]["template"]["spec"]
        containers = pod["containers"] + pod.get("initContainers", [])
        container = next(container for container in containers if container["name"] == "catchment")
        path = pathlib.Path(self.folder) / "catchment.yaml"
        path.write_text(text)
        self.assertEqual(container["args"], ["run", "--config", "/etc/catchment/catchment.yaml"])
        env = {variable["name"]: variable.get("value", "node-1") for variable in container["env"]}
        self.assertEqual(output(CATCHMENT, "validate", "--config", path, env=env), "the configuration is valid\n")
        security = container["securityContext"]
        self.assertTrue(security["readOnlyRootFilesystem"] and security["runAsNonRoot"])
        self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
        self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertFalse(security["allowPrivilegeEscalation"] or pod["automountServiceAccountToken"])
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertEqual(container[probe]["httpGet"]["port"], "health")
        self.assertTrue(env["CATCHMENT_HEALTH_ENDPOINT"].endswith(f":{ports['health']}"))
        self.assertGreater(pod["terminationGracePeriodSeconds"], 37)
        return manifests, text, container

    def test_sidecar(self):
        _, text, container = self.check("sidecar", "Deployment")
        self.assertIn("limit_mib: ${env:CATCHMENT_MEMORY_LIMIT_MIB:-64}", text)
        memory = container["resources"]["limits"]["memory"]
        self.assertGreaterEqual(int(memory[:-2]) * MIB[memory[-2:]], 2 * 64)

    def test_daemonset(self):
        manifests, _, container = self.check("daemonset", "DaemonSet")
        service = manifests["Service"]["spec"]
        self.assertEqual(service["internalTrafficPolicy"], "Local")
        labels = manifests["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(service["selector"], labels)
        ports = {port["name"] for port in container["ports"]}
        self.assertLessEqual({port["targetPort"] for port in service["ports"]}, ports)


class Systemd(Case):
    def unit(self):
        """The unit, with the program where it is now."""
        text = (PACKAGING / "systemd" / "catchment.service").read_text()
        self.assertIn(f"ExecStart={PROGRAM} run", text)
        path = pathlib.Path(self.folder) / "catchment.service"
        path.write_text(text.replace(PROGRAM, str(pathlib.Path(CATCHMENT).resolve())))
        return path

    def test_unit_is_valid(self):
        told = output("systemd-analyze", "verify", "--recursive-errors=no", self.unit())
        self.assertNotIn("catchment.service", told)

    def test_unit_may_do_little(self):
        # In tenths; systemd 252 says 1.2, where a unit without any of this has 9.6 of 10.
        output("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", self.unit())

    def test_variables_are_assignments_in_comments(self):
        lines = (PACKAGING / "systemd" / "catchment.env").read_text().splitlines()
        assignments = [line[1:] for line in lines if line.startswith("#CATCHMENT_")]
        self.assertIn("CATCHMENT_CONFIG=embedded:gateway", assignments)
        self.assertFalse([line for line in lines if line and not line.startswith("#")])


class Docker(Case):
    def test_dockerfile(self):
        hadolint = pathlib.Path(sys.executable).parent / "hadolint"
        self.assertEqual(output(hadolint, "--failure-threshold", "style", PACKAGING / "Dockerfile"), "")

    def test_toolchain_is_that_of_the_crate(self):
        version = next(line for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("rust-version"))
        version = version.split('"')[1]
        self.assertIn(f"FROM rust:{version}.0-", (PACKAGING / "Dockerfile").read_text())
