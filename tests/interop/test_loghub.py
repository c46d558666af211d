"""Lines of real logs, sent by the load generator: search finds what grep finds, and Parquet has every line."""

import re
import subprocess

import duckdb

from harness import DATA, Case, needs_data
from load import load
from test_examples import CONFIG

# Words and phrases to look for; the last is nowhere.
WORDS = {
    "Apache": ["error", "notice", "mod_jk", "workerEnv", "6", '"error state"', '"Directory index forbidden by rule"',
               "jk2_init", "client", "scoreboard", "nowheretobefound"],
    "HDFS": ["blk_38865049064139660", "PacketResponder", "terminating", "addStoredBlock", '"Received block"',
             "Receiving", "50010", "67108864", "WARN", "Deletion", "nowheretobefound"],
    "Linux": ["authentication", '"authentication failure"', "root", "sshd", "ftpd", "connection", "unknown",
              "klogind", "kernel", "session", "nowheretobefound"],
    "OpenSSH": ["Failed", '"Failed password"', '"invalid user"', "root", "webmaster", "BREAK", "preauth", "port",
                "173.234.31.186", "ssh2", "nowheretobefound"],
    "Zookeeper": ["Received", '"Received connection request"', "WARN", "ERROR", "myid", "election", "snapshot",
                  "shutdown", "Interrupted", "QuorumCnxManager", "nowheretobefound"],
}


def lines_of(data_set):
    """The lines of a data set as the generator reads them, without their ends."""
    text = (DATA / "loghub" / data_set / f"{data_set}_2k.log").read_bytes().decode("utf-8", "replace")
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()]


def grep_count(query, path):
    """In how many lines grep finds the words of the query in a row, in any case."""
    words = re.findall("[A-Za-z0-9]+", query)
    pattern = "(^|[^[:alnum:]])" + "[^[:alnum:]]+".join(words) + "([^[:alnum:]]|$)"
    found = subprocess.run(["grep", "-aicE", pattern, path], capture_output=True, text=True)
    return int(found.stdout)


@needs_data
class Loghub(Case):
    def check(self, data_set):
        lines = lines_of(data_set)
        self.assertGreaterEqual(len(lines), 1999)
        agent = self.agent(CONFIG)
        path = DATA / "loghub" / data_set / f"{data_set}_2k.log"
        report = load(agent, protocol="http", lines=path)
        self.assertEqual(report["records_acknowledged"], len(lines))
        agent.wait_until_idle()
        for query in WORDS[data_set]:
            answer = agent.search(query, limit=10_000)
            self.assertEqual((query, answer["num_hits"]), (query, grep_count(query, path)))
        self.finish(agent)
        files = str(agent.data / "archive" / "logs" / "**" / "*.parquet")
        bodies = duckdb.execute("SELECT body FROM read_parquet($1)", [files]).fetchall()
        self.assertEqual(sorted(body for (body,) in bodies), sorted(lines))

    def test_apache(self):
        self.check("Apache")

    def test_hdfs(self):
        self.check("HDFS")

    def test_linux(self):
        self.check("Linux")

    def test_openssh(self):
        self.check("OpenSSH")

    def test_zookeeper(self):
        self.check("Zookeeper")
