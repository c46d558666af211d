"""The default pipeline with all its sinks, under full load of all three signals for `DURATION` seconds.

Memory stays under its limit and is flat, files and windows are rolled, old ones are removed, nothing is dropped.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import time

from harness import CATCHMENT, Case, Process, free_port
from load import endpoint, on_core

DURATION = int(os.environ.get("DURATION", "600"))
LIMIT_MIB = 512
# Beside the budget stand the program itself, stacks and connections, and what the allocator keeps.
OVERHEAD_MIB = 64
ARCHIVE_BYTES, INDEX_BYTES = 1 << 30, 2 << 30
SETTINGS = {
    "processors.memory_limiter.check_interval": "100ms",
    "processors.memory_limiter.limit_mib": LIMIT_MIB,
    "service.pipelines.logs.processors": "[memory_limiter, batch]",
    "exporters.parquet.rotation.max_age": "30s",
    "exporters.parquet.rotation.max_bytes": "64MiB",
    "exporters.parquet.retention.max_bytes": ARCHIVE_BYTES,
    "exporters.logindex.window": "1m",
    "exporters.logindex.retention.max_bytes": INDEX_BYTES,
}


def size_bytes(folder):
    """What the files below a folder take; files may go while they are counted."""
    total = 0
    for path in pathlib.Path(folder).rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass
    return total


class Default(Case):
    def prometheus(self):
        port = free_port()
        config = pathlib.Path(self.folder) / "prometheus.yml"
        config.write_text("global: {}\n")
        arguments = [shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={self.folder}/tsdb"]
        arguments += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"]
        prometheus = Process(arguments, self.folder, "prometheus")
        self.addCleanup(prometheus.kill)
        prometheus.wait_for_ports(port)
        return f"http://127.0.0.1:{port}"

    def test_full_load(self):
        url = self.prometheus()
        arguments = [CATCHMENT, "run"]
        for key, value in SETTINGS.items():
            arguments += ["--set", f"{key}={value}"]
        agent = self.agent(None, arguments=arguments, env={"CATCHMENT_REMOTE_WRITE_URL": f"{url}/api/v1/write"})
        command = [*on_core(1), CATCHMENT, "load", "--endpoint", endpoint(agent, "grpc"), "--pid", str(agent.pid)]
        for name in ("logs", "traces", "metrics"):
            command += ["--signal", name]
        command += ["--duration", f"{DURATION}s", "--retry-for", "120s", "--json"]
        generator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(generator.kill)
        samples, sizes, windows, files = [], [], set(), set()
        while generator.poll() is None:
            time.sleep(2)
            # The files of the index are mapped: what is resident of them belongs to the system.
            samples.append(agent.anonymous_mib())
            sizes.append((size_bytes(agent.data / "archive"), size_bytes(agent.data / "index")))
            windows.update(path.name for path in (agent.data / "index").glob("*/*"))
            files.update(path.name for path in (agent.data / "archive").rglob("*.parquet"))
        print(f"\n{generator.communicate()[0].decode()}")
        half = len(samples) // 2
        print(agent.log())
        print(f"resident MiB without files, median: first half {statistics.median(samples[:half]):.0f}, "
              f"second half {statistics.median(samples[half:]):.0f}; peak {max(samples):.0f}, limit {LIMIT_MIB}")
        print(f"{len(files)} files, {len(windows)} windows were seen; at most {max(size for size, _ in sizes) >> 20} MiB "
              f"of files, {max(size for _, size in sizes) >> 20} MiB of index")
        # Prometheus, on the same machine, has the most to catch up with.
        agent.wait_until_idle(300)
        ledger = self.finish(agent)
        for name, account in ledger["exporters"].items():
            print(name, account)
            self.assertEqual(sum(account["dropped"].values()), 0, name)
        self.assertLess(max(samples), LIMIT_MIB + OVERHEAD_MIB)
        self.assertLess(statistics.median(samples[half:]), 1.25 * statistics.median(samples[:half]))
