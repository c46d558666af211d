"""Queues of exporters on disk: destinations that are away, an agent that is killed, a full disk; no record is missing."""

import contextlib
import gzip
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import test_journal
from harness import CATCHMENT, SERVICES, Case, attributes, flatten, get, wait_until
from load import endpoint
from test_trouble import fill, mount

KILLS = int(os.environ.get("KILLS", "3"))
SECONDS = KILLS * 1.5

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:GRPC_ADDRESS}"}
extensions:
  file_storage: {directory: "${env:DATA_DIR}/spools", segment_size: 1MiB}
  journal: {directory: "${env:DATA_DIR}/journal", segment_size: 4MiB, dedup_window: 0s}
exporters:
  otlp_http:
    logs_endpoint: ${env:SERVER}
    timeout: 500ms
    retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
    sending_queue: {storage: file_storage, queue_size: 20, num_consumers: 4}
service:
  extensions: [file_storage]
  pipelines:
    logs: {receivers: [otlp], exporters: [otlp_http]}
"""

WITH_JOURNAL = CONFIG.replace("extensions: [file_storage]", "extensions: [journal, file_storage]")


class QuietServer(ThreadingHTTPServer):
    """Clients that are killed are no errors."""

    def handle_error(self, request, client_address):
        pass


class Server:
    """Takes logs in over OTLP/HTTP, and keeps the ids of what it answered with 200.

    `trouble` is asked before each answer: None, a status, "close" (half of an answer), or "hang".
    """

    def __init__(self, trouble=lambda: None):
        self.trouble, self.ids, self.lock = trouble, [], threading.Lock()
        self.server = QuietServer(("127.0.0.1", 0), self._handler())
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1/logs"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def counts(self):
        with self.lock:
            return Counter(self.ids)

    def _handler(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                with contextlib.suppress(OSError):
                    self.take()

            def take(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                trouble = outer.trouble()
                if trouble == "hang":
                    time.sleep(0.7)
                if trouble == "close":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
                if trouble in ("hang", "close"):
                    self.close_connection = True
                    return
                if trouble is None:
                    message = SERVICES["logs"][0].FromString(gzip.decompress(body))
                    ids = [attributes(record)["load.id"] for _, _, record in flatten("logs", message)]
                    with outer.lock:
                        outer.ids += ids
                self.send_response(trouble or 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_arguments):
                pass

        return Handler


class SpoolCase(Case):
    def server(self, *trouble):
        server = Server(*trouble)
        self.addCleanup(server.stop)
        return server

    def load(self, agent, rate, seconds):
        command = [CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--ids", "--rate", str(rate)]
        command += ["--batch-size", "50", "--retry-for", "120s", "--duration", f"{seconds:.0f}s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(generator.kill)
        return generator

    def report(self, generator):
        report = json.loads(generator.communicate(timeout=180)[0])
        self.assertEqual(generator.returncode, 0, report)
        return report

    def wait_until_empty(self, agent, seconds=120):
        try:
            wait_until(lambda: spool_metric(agent, "open_entries") == 0, "the spool is empty", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{agent.ledger()}\n{agent.log()[-5000:]}") from None

    def check(self, server, expected, where):
        counts = server.counts()
        missing = [number for number in range(1, expected + 1) if number not in counts]
        repeated = sum(count - 1 for count in counts.values())
        print(f"{where}: {expected} records, {len(missing)} missing, {repeated} repeated")
        self.assertEqual((missing[:10], len(missing)), ([], 0), where)


def spool_metric(agent, what, exporter="otlp_http"):
    start = f'catchment_spool_{what}{{'
    for line in get(f"{agent.own}/metrics").splitlines():
        if line.startswith(start) and f'exporter="{exporter}"' in line:
            return float(line.split()[-1])
    return None


class Away(SpoolCase):
    """Nobody is there while the agent is killed again and again; then it gets another address."""

    def test_every_acknowledged_record_arrives(self):
        server = self.server()
        agent = self.agent(CONFIG, env={"SERVER": "http://127.0.0.1:9/v1/logs", "THERE": server.url})
        generator = self.load(agent, 5000, SECONDS)
        for _ in range(KILLS):
            time.sleep(random.uniform(0.3, 1.5))
            agent.kill()
            agent.start_again()
        report = self.report(generator)
        self.assertEqual(agent.stop(), 0, agent.log())
        (agent.folder / "config.yaml").write_text(CONFIG.replace("${env:SERVER}", "${env:THERE}"))
        agent.start_again()
        self.wait_until_empty(agent)
        self.finish(agent)
        self.check(server, report["signals"]["logs"]["last_id"], f"{KILLS} kills while nobody was there")


class Outages(SpoolCase):
    """A destination that is well half of the time, and an agent that is killed: every record arrives."""

    def trouble(self):
        """Half a second each: well, an error, half of an answer, no answer in time."""
        phase = 0 if self.is_over else int(time.monotonic() * 2) % 8
        return {4: 503, 5: "close", 6: "hang", 7: 429}.get(phase)

    def run_with(self, config):
        self.is_over = False
        server = self.server(self.trouble)
        agent = self.agent(config, env={"SERVER": server.url})
        generator = self.load(agent, 4000, SECONDS)
        for _ in range(KILLS):
            time.sleep(random.uniform(0.5, 1.5) * SECONDS / KILLS)
            agent.kill()
            agent.start_again()
        report = self.report(generator)
        if "journal," in config:
            wait_until(lambda: agent.own_metric("catchment_journal_open_entries") == 0, "the journal is empty", 120)
        self.is_over = True
        self.wait_until_empty(agent)
        self.finish(agent)
        self.check(server, report["signals"]["logs"]["last_id"], f"{KILLS} kills")

    def test_everything_through_the_spool(self):
        self.run_with(CONFIG)

    def test_overflow_behind_a_journal(self):
        self.run_with(WITH_JOURNAL)

    def test_all_of_the_queue_behind_a_journal(self):
        self.run_with(WITH_JOURNAL.replace("segment_size: 1MiB", "segment_size: 1MiB, store: all"))

    def test_joined_in_larger_requests(self):
        batch = "num_consumers: 4, batch: {min_size: 500, max_size: 700, flush_timeout: 50ms}"
        self.run_with(CONFIG.replace("num_consumers: 4", batch).replace("queue_size: 20", "queue_size: 2000, sizer: items"))


class Down(SpoolCase):
    """One of two destinations is down for long: the other one gets everything at once, and the journal is free."""

    def test_others_go_on(self):
        is_down = True
        down, well = self.server(lambda: 503 if is_down else None), self.server()
        other = """
  otlp_http/well: {logs_endpoint: "${env:WELL}"}
service:"""
        config = WITH_JOURNAL.replace("\nservice:", other).replace("exporters: [otlp_http]", "exporters: [otlp_http, otlp_http/well]")
        agent = self.agent(config, env={"SERVER": down.url, "WELL": well.url})
        expected = self.report(self.load(agent, 4000, 5))["signals"]["logs"]["last_id"]
        wait_until(lambda: len(well.counts()) == expected, "the other destination has everything")
        self.assertEqual(len(down.counts()), 0)
        # Only what is in memory before the spool keeps the journal.
        wait_until(lambda: agent.own_metric("catchment_journal_open_entries") <= 30, "the journal is free")
        spooled = spool_metric(agent, "open_entries")
        self.assertGreater(spooled, 300)
        self.assertGreater(spool_metric(agent, "size_bytes"), 1 << 20)
        wait_until(lambda: spool_metric(agent, "oldest_age_seconds") > 1, "the age is shown")
        # What is in memory goes to the spool when the agent stops, and at once, for the destination is down.
        started = time.monotonic()
        self.assertEqual(agent.stop(), 0, agent.log())
        self.assertLess(time.monotonic() - started, 10)
        agent.start_again()
        self.assertEqual(agent.own_metric("catchment_journal_open_entries"), 0)
        self.assertGreaterEqual(spool_metric(agent, "open_entries"), spooled)
        agent.kill()
        folder = agent.data / "spools" / "exporter_otlp_http__logs"
        verified = subprocess.run([CATCHMENT, "journal", "verify", folder], capture_output=True, text=True)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        listed = subprocess.run([CATCHMENT, "journal", "ls", folder, "--json"], capture_output=True, text=True, check=True)
        entries = [json.loads(line) for line in listed.stdout.splitlines()]
        self.assertEqual({entry["receiver"] for entry in entries}, {"otlp_http"})
        numbers = [entry["number"] for entry in entries]
        printed = subprocess.run([CATCHMENT, "journal", "cat", folder, "--entry", str(numbers[0])], capture_output=True, text=True, check=True)
        self.assertIn("resourceLogs", json.loads(printed.stdout))
        to = pathlib.Path(self.folder) / "rescued"
        subprocess.run([CATCHMENT, "journal", "export", folder, "--to", to], capture_output=True, check=True)
        rescued = [SERVICES["logs"][0].FromString(file.read_bytes()) for file in to.iterdir()]
        ids = {attributes(record)["load.id"] for message in rescued for _, _, record in flatten("logs", message)}
        self.assertEqual(ids, set(range(1, expected + 1)))
        is_down = False
        agent.start_again()
        self.wait_until_empty(agent)
        self.finish(agent)
        self.check(down, expected, "the one that was down")
        self.check(well, expected, "the one that was well")


class FullDisk(SpoolCase):
    """The spool's file system is full for a while: clients come back, and nothing that was acknowledged is lost."""

    def test_clients_wait_for_room(self):
        small = pathlib.Path(self.folder) / "small"
        if not mount(small, "12m"):
            self.skipTest("file systems cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(small)], check=True)
        server = self.server()
        agent = self.agent(CONFIG.replace("${env:DATA_DIR}/spools", str(small)), env={"SERVER": server.url})
        generator = self.load(agent, 10_000, 6)
        time.sleep(1)
        ballast = fill(small)
        wait_until(lambda: "No space left on device" in agent.log(), "the trouble is named")
        self.assertIn(str(small), agent.log())
        time.sleep(1)
        ballast.unlink()
        report = self.report(generator)
        self.assertGreater(report["retries"], 0)
        self.wait_until_empty(agent)
        self.finish(agent)
        self.check(server, report["signals"]["logs"]["last_id"], "a full disk")

    def test_destination_is_down_until_the_disk_is_full(self):
        small = pathlib.Path(self.folder) / "small"
        if not mount(small, "12m"):
            self.skipTest("file systems cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(small)], check=True)
        is_down = True
        server = self.server(lambda: 503 if is_down else None)
        agent = self.agent(CONFIG.replace("${env:DATA_DIR}/spools", str(small)), env={"SERVER": server.url})
        generator = self.load(agent, 10_000, 6)
        wait_until(lambda: "No space left on device" in agent.log(), "the disk is full")
        agent.kill()
        agent.start_again()
        wait_until(lambda: "No space left on device" in agent.log(), "the disk is full after a crash")
        is_down = False
        report = self.report(generator)
        self.wait_until_empty(agent)
        self.finish(agent)
        self.check(server, report["signals"]["logs"]["last_id"], "a disk that was filled")


class Limit(SpoolCase):
    """A spool that has what it may have refuses; clients of the journal never see it."""

    def test_journal_takes_what_the_spool_cannot(self):
        is_down = True
        server = self.server(lambda: 503 if is_down else None)
        config = WITH_JOURNAL.replace("segment_size: 1MiB", "segment_size: 1MiB, max_size: 4MiB")
        agent = self.agent(config, env={"SERVER": server.url})
        report = self.report(self.load(agent, 10_000, 4))
        self.assertEqual(report["retries"], 0)
        self.assertGreater(spool_metric(agent, "refused_entries_total") or spool_metric(agent, "refused_entries"), 0)
        self.assertLessEqual(spool_metric(agent, "size_bytes"), 4 << 20)
        is_down = False
        wait_until(lambda: agent.own_metric("catchment_journal_open_entries") == 0, "the journal is empty", 120)
        self.wait_until_empty(agent)
        self.finish(agent)
        self.check(server, report["signals"]["logs"]["last_id"], "a full spool behind a journal")


class Reload(SpoolCase):
    """The exporter of a destination that is down gets other settings: its successor finds the queue."""

    def test_queue_is_handed_over(self):
        is_down = True
        server = self.server(lambda: 503 if is_down else None)
        for config in (CONFIG, WITH_JOURNAL):
            is_down = True
            server.ids.clear()
            name = "journal" if config is WITH_JOURNAL else "alone"
            agent = self.agent(config, env={"SERVER": server.url}, name=name)
            generator = self.load(agent, 4000, 4)
            for milliseconds in (400, 500, 600):
                time.sleep(1)
                (agent.folder / "config.yaml").write_text(config.replace("timeout: 500ms", f"timeout: {milliseconds}ms"))
                before = agent.log().count("everything runs")
                agent.process.send_signal(signal.SIGHUP)
                wait_until(lambda: agent.log().count("everything runs") > before, f"a reload: {agent.log()}")
            report = self.report(generator)
            is_down = False
            self.wait_until_empty(agent)
            self.finish(agent)
            self.check(server, report["signals"]["logs"]["last_id"], name)


class Points(test_journal.Outages):
    """The same with metrics: in order, through journal and spool."""

    config = test_journal.METRICS.replace(
        "remote_write_queue: {queue_size: 20, num_consumers: 2}",
        "sending_queue: {storage: file_storage, queue_size: 20, num_consumers: 2}",
    ).replace(
        "extensions:\n  journal", 'extensions:\n  file_storage: {directory: "${env:DATA_DIR}/spools", segment_size: 1MiB}\n  journal', 1
    ).replace("extensions: [journal]", "extensions: [journal, file_storage]")

    def wait_until_sent(self, agent):
        wait_until(lambda: spool_metric(agent, "open_entries", "prometheusremotewrite") == 0, "the spool is empty", 120)
