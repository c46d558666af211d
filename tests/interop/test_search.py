"""`catchment search` as somebody types it: against a running agent, live, and in the folder of a stopped one."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess

from harness import CATCHMENT, Case, wait_until
from load import load

DOCS = pathlib.Path(__file__).resolve().parents[2] / "src" / "docs" / "search.md"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (TRACE|DEBUG|INFO |WARN |ERROR|FATAL) \S+ \S")


def search(*arguments, env=None):
    command = [CATCHMENT, "search", *map(str, arguments)]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=60)


class Search(Case):
    def setUp(self):
        super().setUp()
        self.target = self.agent(None)
        self.url = ("--url", self.target.api)

    def found(self, *arguments):
        """The lines that a search against the agent prints."""
        run = search(*arguments, *self.url)
        self.assertEqual((run.returncode, run.stderr), (0, ""), arguments)
        return run.stdout.splitlines()

    def test_records_are_found_as_in_the_api(self):
        load(self.target, records=12_000, seed=7)
        self.target.wait_until_idle()
        wait_until(lambda: len(self.found("--json", "--limit", 12_000)) == 12_000, "the index has all of it")
        query = 'severity:>=warn "connection refused"'
        num_expected = self.target.search(query, limit=10_000)["num_hits"]
        lines = self.found(query, "--since", "15m", "--limit", 10_000)
        self.assertEqual(len(lines), num_expected)
        self.assertGreater(num_expected, 100)
        for line in lines:
            self.assertRegex(line, LINE)
            self.assertIn("connection refused", line)
        self.assertEqual(self.found(query, "--sort", "oldest", "--limit", 10_000)[0], lines[-1])
        # More than the interface answers at once.
        records = [json.loads(line) for line in self.found("--json", "--limit", 11_500)]
        self.assertEqual(len(records), 11_500)
        self.assertEqual(len({record["attributes"]["request.id"] for record in records}), 11_500)
        times = [int(record["time_unix_nano"]) for record in records]
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertIn("\x1b[", "".join(self.found("--color", "always", "--limit", 1)))
        self.assertNotIn("\x1b[", "".join(self.found("--limit", 1)))
        self.finish(self.target)

    def test_exit_codes_and_messages(self):
        load(self.target, records=1000)
        self.target.wait_until_idle()
        nothing = search("nowheretobefound", *self.url)
        self.assertEqual((nothing.returncode, nothing.stdout, nothing.stderr), (0, "", "no records found\n"))
        wrong = search("a AND severity:loud", *self.url)
        self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
        self.assertRegex(wrong.stderr, r"^error: expected a severity: .*\n  a AND severity:loud\n                 \^\n$")
        self.assertEqual(search("--since", "soon", *self.url).returncode, 2)
        gone = search("--url", "http://127.0.0.1:1")
        self.assertEqual(gone.returncode, 1)
        self.assertIn("no agent answers at `http://127.0.0.1:1`", gone.stderr)
        shell = f"{shlex.quote(CATCHMENT)} search --limit 1000 --url {self.target.api} | head -1; echo ${{PIPESTATUS[0]}}"
        closed = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
        self.assertEqual((closed.stdout.splitlines()[1], closed.stderr), ("0", ""))
        self.finish(self.target)

    def test_follower_prints_what_comes_in(self):
        command = [CATCHMENT, "search", "--follow", "--json", *self.url, "NOT nowheretobefound"]
        path = pathlib.Path(self.folder) / "followed"
        with open(path, "wb") as out:
            following = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        self.addCleanup(following.kill)

        def started():
            load(self.target, records=1)
            return path.stat().st_size

        wait_until(started, "the follower sees a record")
        report = load(self.target, records=5000)
        self.assertEqual(report["records_acknowledged"], 5000)
        wait_until(lambda: path.read_bytes().count(b"\n") >= 5001, "all records are followed")
        ids = [json.loads(line)["attributes"]["request.id"] for line in path.read_text().splitlines()]
        self.assertEqual(len(set(ids)), len(ids))
        # What the follower saw is what a search finds, but for what came before it.
        indexed = {json.loads(line)["attributes"]["request.id"] for line in self.found("--json", "--limit", 9000)}
        self.assertLessEqual(set(ids), indexed)
        following.send_signal(signal.SIGINT)
        self.assertEqual(following.wait(10), -signal.SIGINT)
        self.assertEqual(following.stderr.read(), b"")
        following.stderr.close()
        self.finish(self.target)

    def test_folder_of_a_stopped_agent_is_searched(self):
        load(self.target, records=3000)
        self.target.wait_until_idle()
        lines = self.found("severity:error", "--limit", 3000)
        index = self.target.data / "index"
        self.finish(self.target)
        before = files(index)
        run = search("severity:error", "--limit", 3000, "--dir", index)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertEqual(sorted(run.stdout.splitlines()), sorted(lines))
        self.assertEqual(files(index), before)
        above = search("--dir", self.target.data)
        self.assertEqual(above.returncode, 1)
        self.assertIn(f"but `{index}` is", above.stderr)

    def test_documented_commands_are_commands(self):
        load(self.target, records=100)
        self.target.wait_until_idle()
        commands = re.findall(r"^    (catchment search .*)$", DOCS.read_text(), re.MULTILINE)
        commands += re.findall(r"^  (catchment search .*)$", search("--help").stdout, re.MULTILINE)
        self.assertGreater(len(commands), 8)
        for command in commands:
            arguments = shlex.split(command.split("|")[0])[2:]
            if "--dir" in arguments:
                arguments[arguments.index("--dir") + 1] = str(self.target.data / "index")
            elif "--follow" in arguments:
                arguments += [*self.url, "--limit", "1", "--since", "1h"]
            else:
                arguments += self.url
            self.assertEqual(search(*arguments).returncode, 0, command)
        self.finish(self.target)


def files(folder):
    """Every file with its size and when it was changed."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}
