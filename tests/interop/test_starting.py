"""An agent that cannot start says what is wrong, names it, and ends with a status that is not 0."""

import os
import pathlib
import signal
import socket
import subprocess

from harness import CATCHMENT, Case, free_port, wait_until

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "{address}"{more}}}
exporters:
  {exporter}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [{name}]}}
"""


class Starting(Case):
    def refusal(self, command="run", address=None, more="", exporter="nop:", name="nop"):
        """What the agent says when it does not start."""
        address = address or f"127.0.0.1:{free_port()}"
        path = pathlib.Path(self.folder) / "config.yaml"
        path.write_text(CONFIG.format(address=address, more=more, exporter=exporter, name=name))
        arguments = [CATCHMENT, command, "--config", path]
        run = subprocess.run(arguments, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        self.assertNotEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("panicked", run.stderr)
        return run.stderr

    def test_port_that_is_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = f"127.0.0.1:{other.getsockname()[1]}"
            self.assertIn(address, self.refusal(address=address))

    def test_certificate_that_cannot_be_read(self):
        message = self.refusal(more=", tls: {cert_file: missing.pem, key_file: missing.key}")
        self.assertIn("missing.pem", message)

    def test_certificate_that_is_none(self):
        (pathlib.Path(self.folder) / "odd.pem").write_text("hello")
        message = self.refusal(more=", tls: {cert_file: odd.pem, key_file: odd.pem}")
        self.assertIn("odd.pem", message)

    def test_host_to_listen_on_that_is_unknown(self):
        self.assertIn("nowhere.invalid", self.refusal(address="nowhere.invalid:4317"))

    def test_mistakes_are_told_together_with_their_places(self):
        for command in ("run", "validate"):
            message = self.refusal(command, more=", endpiont: x", exporter="nop: {size: 1}", name="nop, missing")
            for part in ("config.yaml:5:", "endpiont", "endpoint", "config.yaml:7:", "size", "missing"):
                self.assertIn(part, message)


class Running(Case):
    def test_hangup_reads_the_configuration_again(self):
        agent = self.agent(None)
        os.kill(agent.pid, signal.SIGHUP)
        wait_until(lambda: "the configuration was read again" in agent.log(), "the agent says so")
        self.finish(agent)

    def test_what_the_process_takes_counts_against_the_limit(self):
        agent = self.agent(None)

        def is_known():
            return (agent.own_metric("catchment_memory_uncharged_bytes") or 0) > 1e6

        wait_until(is_known, "the agent knows what it takes beyond what is charged")
        self.finish(agent)
