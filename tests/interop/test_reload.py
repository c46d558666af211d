"""An agent that reads its configuration again while clients send, and one that is told to stop."""

import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

from harness import CATCHMENT, Case, attributes, wait_until
from load import endpoint
from test_journal import CONFIG as JOURNAL, archived, indexed, wait_until_closed

RELOADS = int(os.environ.get("RELOADS", "30"))
SECONDS = float(os.environ.get("SECONDS", "3"))

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
      http: {endpoint: "${env:HTTP_ADDRESS}", max_request_body_size: 1000000}
processors:
  attributes: {actions: [{key: stamp, value: first, action: upsert}]}
exporters:
  otlphttp: {endpoint: "${env:OTLP_HTTP}"}
service:
  api: {endpoint: "${env:API_ADDRESS}"}
  pipelines:
    logs: {receivers: [otlp], processors: [attributes], exporters: [otlphttp]}
"""


def ask_reload(agent):
    request = urllib.request.Request(f"{agent.api}/-/reload", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def send(agent, body):
    record = {"body": {"stringValue": body}}
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    request = urllib.request.Request(f"{agent.http}/v1/logs", json.dumps(request).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status


class Reloads(Case):
    def setUp(self):
        super().setUp()
        self.servers = [self.otlp_server(), self.otlp_server()]
        env = {f"OTLP_HTTP_{number}": server.env["SERVER_HTTP"] for number, server in enumerate(self.servers)}
        self.running = self.agent(CONFIG.replace("${env:OTLP_HTTP}", "${env:OTLP_HTTP_0}"), env=env)
        self.file = pathlib.Path(self.running.folder) / "config.yaml"

    def stamps(self, place, body):
        records = [record for _, _, record in self.servers[place].records("logs")]
        return [attributes(record).get("stamp") for record in records if record.body.string_value == body]

    def write(self, stamp, place, limit):
        text = CONFIG.replace("value: first", f"value: {stamp}").replace("${env:OTLP_HTTP}", f"${{env:OTLP_HTTP_{place}}}")
        self.file.write_text(text.replace("1000000", str(limit)))

    def test_settings_change_under_load(self):
        agent = self.running
        command = [CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--rate", "2000", "--batch-size", "20"]
        command += ["--retry-for", "60s", "--duration", "3600s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(generator.kill)
        place, limit, memory = 0, 1_000_000, []
        for turn in range(RELOADS):
            kind = turn % 3
            place, limit = (1 - place, limit) if kind == 1 else (place, 3_000_000 - limit if kind == 2 else limit)
            self.write(f"turn-{turn}", place, limit)
            if turn % 2:
                code, answer = ask_reload(agent)
                self.assertEqual(code, 200, answer)
                self.assertIn("processors::attributes", answer["changed"])
            else:
                before = agent.own_metric("catchment_config_last_reload_success_timestamp_seconds")
                os.kill(agent.pid, signal.SIGHUP)
                wait_until(lambda: agent.own_metric("catchment_config_last_reload_success_timestamp_seconds") > before, "SIGHUP is followed")
            self.assertEqual(send(agent, f"probe {turn}"), 200)
            wait_until(lambda: self.stamps(place, f"probe {turn}") == [f"turn-{turn}"], f"turn {turn} shows")
            for server in self.servers:
                with server.lock:
                    server.requests["logs"].clear()
            memory.append(agent.anonymous_mib())
        generator.send_signal(signal.SIGINT)
        report = json.loads(generator.communicate(timeout=60)[0])
        self.assertEqual(generator.returncode, 0, report)
        agent.wait_until_idle()
        self.finish(agent)
        half = len(memory) // 2
        print(f"{RELOADS} reloads, {memory[half]:.0f} MiB after half of them, {memory[-1]:.0f} MiB at the end")
        self.assertLess(memory[-1], memory[half] * 1.3 + 10)

    def test_wrong_file_changes_nothing_and_is_named(self):
        agent = self.running
        self.file.write_text(CONFIG.replace("attributes: {actions", "attributes: {action"))
        code, answer = ask_reload(agent)
        self.assertEqual(code, 400)
        self.assertIn("did you mean `actions`?", "".join(answer["errors"]))
        self.assertEqual(agent.own_metric("catchment_config_last_reload_successful"), 0)
        self.assertEqual(send(agent, "as before"), 200)
        wait_until(lambda: self.stamps(0, "as before") == ["first"], "the configuration before stays")
        self.write("first", 0, 1_000_000)
        self.assertEqual(ask_reload(agent)[0], 200)
        self.assertEqual(agent.own_metric("catchment_config_last_reload_successful"), 1)
        plan = [CATCHMENT, "plan", "--from", self.file, "--config", self.file, "--json"]
        planned = subprocess.run(plan, capture_output=True, text=True, env={**os.environ, **agent.env})
        self.assertEqual(planned.returncode, 0, planned.stderr)
        self.assertEqual(json.loads(planned.stdout)["changed"], [])


class Stop(Case):
    """SIGTERM under load: the agent ends in time, and what was acknowledged is in a sink or in the journal."""

    def test_stop_under_load(self):
        agent = self.agent(JOURNAL + "  shutdown_timeout: 5s\n")
        command = [CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--ids", "--rate", "10000", "--batch-size", "100"]
        command += ["--connections", "4", "--retry-for", "120s", "--duration", f"{SECONDS * 3:.0f}s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(generator.kill)
        for _ in range(2):
            time.sleep(SECONDS)
            begun = time.monotonic()
            agent.stop()
            # The timeout, and the 5 seconds that a sink has to end what it was doing then.
            self.assertLess(time.monotonic() - begun, 11)
            agent.start_again()
        report = json.loads(generator.communicate(timeout=180)[0])
        self.assertEqual(generator.returncode, 0, report)
        wait_until_closed(agent)
        self.finish(agent)
        expected = list(range(1, report["signals"]["logs"]["last_id"] + 1))
        self.assertEqual(sorted(archived(agent)), expected)
        self.assertEqual(sorted(indexed(agent)), expected)
