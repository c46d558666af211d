"""The query language over loghub lines: what is found is what a calculation of its own finds.

The calculation is written from src/docs/search.md: a condition in Python beside each query, over the records as
they were sent. Each query is asked of an index with `detail: full` and of one with `lean`, while everything is in
the open tail, and once more after a restart, when everything is on disk.
"""

import hashlib
import json
import re
import urllib.error
import urllib.request

from harness import Case, get_json, needs_data
from test_loghub import lines_of

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "${env:HTTP_ADDRESS}"}
exporters:
  logindex: {directory: "${env:DATA_DIR}/index", detail: "${env:DETAIL}", commit_interval: 1h}
service:
  api: {endpoint: "${env:API_ADDRESS}"}
  pipelines:
    logs: {receivers: [otlp], exporters: [logindex]}
"""
BASE = 1795532400
DATA_SETS = ("Apache", "HDFS", "Linux", "OpenSSH", "Zookeeper")
NUM_LINES = 500
# Of queries that find more, only the count is compared.
MAX_COMPARED = 300


# ---- the records, as plain dictionaries -----------------------------------------------------------------------


def record(number, data_set, line):
    """A record of a line; everything but the line follows from its number."""
    made = {
        "id": number,
        "time": BASE + number * 37 % 5000,
        "severity_number": 0,
        "severity_text": "",
        "body": line,
        "event_name": "user.login" if number % 25 == 4 else "",
        "trace_id": hashlib.md5(str(number // 10).encode()).hexdigest() if number % 3 == 0 else "",
        "span_id": hashlib.md5(str(number).encode()).hexdigest()[:16] if number % 6 == 0 else "",
        "attributes": {"load.id": number},
        "resource": {
            "service.name": data_set.lower(),
            "k8s.pod.name": f"web-{data_set.lower()}-{number % 3}",
            "host.cpus": number % 3,
            "deployment": "blue" if data_set in ("HDFS", "Linux") else "green",
        },
        "scope": f"{data_set}.lines",
        "scope_attributes": {"lib.level": "deep"} if data_set == "Linux" else {},
    }
    if data_set == "Zookeeper":
        del made["resource"]["service.name"]
    made["severity_number"], made["severity_text"] = (
        (1 + number // 8 % 24, ""), (0, "Error"), (0, "WARNING"), (0, "crit"), (9, "Notice"), (0, ""), (17, "ERROR"), (0, "odd"),
    )[number % 8]
    attributes = made["attributes"]
    if number % 2 == 0:
        attributes["http.status_code"] = (200, 404, 500, 502)[number // 2 % 4]
    elif number % 10 == 1:
        attributes["http.status_code"] = "502"
    attributes["duration_ms"] = (number % 1000 + 0.5, number % 1000, "slow" if number % 7 else "300")[number % 3]
    # Hardly ever the same: keys, but for the first few hundred.
    attributes["user.id"] = 10_000 + number * 7919
    attributes["session"] = f"s-{number * 104729 % 999983:06}-x"
    if number % 4 == 0:
        attributes["url.path"] = f"/api/v{number % 3}/Login/{number % 7}"
    if number % 20 == 5:
        attributes["exception.type"] = "io.Error"
        attributes["exception.message"] = ("not found", "Not found (again)", 'a "quoted" part')[number // 20 % 3]
    if number % 100 == 3:
        attributes["odd name"] = "x"
    if number % 8 == 0:
        attributes["retry"] = number % 16 == 0
    if number % 16 == 1:
        attributes["tags"] = ["a", "b c"]
    if number % 30 == 7:
        attributes["deployment"] = "blue"
    if number % 40 == 9:
        attributes["note"] = "x" * 40 + str(number % 3)
    kind = number % 97
    if kind < 6:
        made["body"] = (
            number, number + 0.25, {"error": {"code": number % 5}, "list": [1, "two words"]}, None,
            f"Größe der Datei überschritten: {line}", True,
        )[kind]
    return made


def any_value(value):
    """A value in OTLP's JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"kvlistValue": {"values": key_values(value)}}


def key_values(pairs):
    return [{"key": key, "value": any_value(value)} for key, value in pairs.items()]


def request(records):
    """An OTLP request; records of one resource and scope follow one another."""
    groups = {}
    for made in records:
        groups.setdefault((json.dumps(made["resource"]), made["scope"], json.dumps(made["scope_attributes"])), []).append(made)
    resource_logs = []
    for (resource, scope, scope_attributes), members in groups.items():
        scope = {"name": scope, "attributes": key_values(json.loads(scope_attributes))}
        scope_logs = {"scope": scope, "logRecords": [log_record(made) for made in members]}
        resource = {"attributes": key_values(json.loads(resource))}
        resource_logs.append({"resource": resource, "scopeLogs": [scope_logs]})
    return json.dumps({"resourceLogs": resource_logs}).encode()


def log_record(made):
    encoded = {
        "timeUnixNano": f"{made['time']}000000000",
        "severityNumber": made["severity_number"],
        "severityText": made["severity_text"],
        "attributes": key_values(made["attributes"]),
        "traceId": made["trace_id"],
        "spanId": made["span_id"],
        "eventName": made["event_name"],
    }
    if made["body"] is not None:
        encoded["body"] = any_value(made["body"])
    return encoded


# ---- conditions, as the documentation says --------------------------------------------------------------------


def text_of(value):
    """A value as text: numbers as they are written, maps and arrays as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def words_of(text):
    """Longest runs of letters and digits, in lower case."""
    return ["".join(run).lower() for run in re.findall(r"[^\W_]+", text)]


def body_of(made):
    return None if made["body"] is None else text_of(made["body"])


def row(*wanted, is_open=False):
    """The words in a row; the last may go on if it is open."""

    def test(made):
        found = words_of(body_of(made) or "")
        for start in range(len(found) - len(wanted) + 1):
            part = found[start : start + len(wanted)]
            is_last = part[-1].startswith(wanted[-1]) if is_open else part[-1] == wanted[-1]
            if part[:-1] == list(wanted[:-1]) and is_last:
                return True
        return False

    return test


def word(wanted):
    return row(wanted)


def begins(*wanted):
    return row(*wanted, is_open=True)


def inside(part):
    return lambda made: part.lower() in (body_of(made) or "").lower()


def matches(pattern):
    return lambda made: body_of(made) is not None and re.search(pattern, body_of(made)) is not None


def has_body(made):
    return made["body"] is not None


def severity_of(made):
    """The number, or that of the name that the text begins with, or 0."""
    if made["severity_number"]:
        return made["severity_number"]
    return {"Error": 17, "WARNING": 13, "crit": 21}.get(made["severity_text"], 0)


def severity(low, high):
    return lambda made: low <= severity_of(made) <= high


def values_of(made, name):
    """The values that a field of this name has: of the record, its scope, its resource."""
    own = {"severity_text": "severity_text", "trace_id": "trace_id", "span_id": "span_id", "scope": "scope"}
    if name in own:
        return [made[own[name]]] if made[own[name]] else []
    if name == "service":
        name = "service.name"
    found = [made[place][name] for place in ("attributes", "scope_attributes", "resource") if name in made[place]]
    if name == "event_name" and made["event_name"]:
        found.append(made["event_name"])
    return found


def field(name, test):
    return lambda made: any(test(value) for value in values_of(made, name))


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(name, *wanted):
    """Text that is equal, or a number that is."""

    def test(value):
        if is_number(value):
            return any(is_number(one) and one == value for one in wanted)
        return text_of(value) in [one for one in wanted if isinstance(one, str)]

    return field(name, test)


def exists(name):
    return field(name, lambda value: True)


def starts(name, prefix):
    return field(name, lambda value: text_of(value).startswith(prefix))


def contains(name, part):
    return field(name, lambda value: part in text_of(value))


def field_matches(name, pattern):
    return field(name, lambda value: re.search(pattern, text_of(value)) is not None)


def compared(name, test):
    """A comparison of numbers, as which text that is one counts."""

    def compare(value):
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                return False
        return is_number(value) and test(value)

    return field(name, compare)


def compared_text(name, test):
    return field(name, lambda value: isinstance(value, str) and test(value))


def every(*tests):
    return lambda made: all(test(made) for test in tests)


def some(*tests):
    return lambda made: any(test(made) for test in tests)


def none(test):
    return lambda made: not test(made)


def anything(made):
    return True


TRACE = hashlib.md5(b"30").hexdigest()
SPAN = hashlib.md5(b"42").hexdigest()[:16]

QUERIES = [
    # words
    ("", anything),
    ("disconnect", word("disconnect")),
    ("ERROR", word("error")),
    ("error client", every(word("error"), word("client"))),
    ("failed password", every(word("failed"), word("password"))),
    ("50010", word("50010")),
    ("6", word("6")),
    ("10.251.73.220", row("10", "251", "73", "220")),
    ("173.234.31.186", row("173", "234", "31", "186")),
    ("mod_jk", row("mod", "jk")),
    ("blk_38865049064139660", row("blk", "38865049064139660")),
    ("größe", word("größe")),
    ("ÜBERSCHRITTEN", word("überschritten")),
    ("body:authentication", word("authentication")),
    ("true", word("true")),
    ("97", word("97")),
    ("two", word("two")),
    ("nowheretobefound", word("nowheretobefound")),
    # phrases
    ('"error state"', row("error", "state")),
    ('"state error"', row("state", "error")),
    ('"Directory index forbidden by rule"', row("directory", "index", "forbidden", "by", "rule")),
    ('"Received block"', row("received", "block")),
    ('"received   -- BLOCK"', row("received", "block")),
    ('"Failed password for invalid user"', row("failed", "password", "for", "invalid", "user")),
    ('body:"authentication failure"', row("authentication", "failure")),
    ('"der Datei"', row("der", "datei")),
    ('"two words"', row("two", "words")),
    ('"NOT"', word("not")),
    (r"\NOT", word("not")),
    # prefixes
    ("conn*", begins("conn")),
    ("Auth*", begins("auth")),
    ("b*", begins("b")),
    ("1*", begins("1")),
    ("blk_-1*", begins("blk", "1")),
    ("10.25*", begins("10", "25")),
    ("grö*", begins("grö")),
    # substrings
    ("*fail*", inside("fail")),
    ("*ENV.init*", inside("env.init")),
    ("*=*", inside("=")),
    ("*ÖSSE*", inside("össe")),
    ("*GRÖß*", inside("größ")),
    (r"*\ user\ *", inside(" user ")),
    (r'*\"code\"*', inside('"code"')),
    # parts of numbers, within words and at their edges
    ("*123*", inside("123")),
    ("*00*", inside("00")),
    ("*38865049064139660*", inside("38865049064139660")),
    ("*64139660*", inside("64139660")),
    ("*5.25*", inside("5.25")),
    ("*0.250.1*", inside("0.250.1")),
    ("*98765432101234567*", inside("98765432101234567")),
    ("*", has_body),
    ("body:*", has_body),
    # regular expressions over the body
    (r"/port \d+ ssh2$/", matches(r"port \d+ ssh2$")),
    (r"/(?i)^.{0,40}ERROR/", matches(r"(?i)^.{0,40}ERROR")),
    (r"/blk_-?\d{18}/", matches(r"blk_-?\d{18}")),
    (r"/\/10\.251\.\d+\.\d+:\d+/", matches(r"/10\.251\.\d+\.\d+:\d+")),
    (r"body:/^\d+$/", matches(r"^\d+$")),
    # severities
    ("severity:error", severity(17, 20)),
    ("severity:WARN", severity(13, 16)),
    ("severity:warning", severity(13, 16)),
    ("severity:>=warn", severity(13, 24)),
    ("severity:>warn", severity(17, 24)),
    ("severity:<info", severity(0, 8)),
    ("severity:<=info", severity(0, 12)),
    ("severity:17", severity(17, 17)),
    ("severity:>17", severity(18, 24)),
    ("severity:error3", severity(19, 19)),
    ("severity:0", severity(0, 0)),
    ("severity:[warn TO error]", severity(13, 20)),
    ("severity:{warn TO fatal}", severity(17, 20)),
    ("severity:[* TO 4]", severity(0, 4)),
    ("severity_text:Notice", equal("severity_text", "Notice")),
    ("severity_text:notice", equal("severity_text", "notice")),
    ("severity_text:/(?i)^error$/", field_matches("severity_text", "(?i)^error$")),
    # services, scopes, ids
    ("service:hdfs", equal("service", "hdfs")),
    ("service:HDFS", equal("service", "HDFS")),
    ("service.name:open*", starts("service", "open")),
    ("NOT _exists_:service", none(exists("service"))),
    ("scope:Linux.lines", equal("scope", "Linux.lines")),
    ("scope:*SSH*", contains("scope", "SSH")),
    (f"trace_id:{TRACE}", equal("trace_id", TRACE)),
    (f"trace_id:{TRACE.upper()}", equal("trace_id", TRACE)),
    (f"trace_id:{TRACE[:2]}*", starts("trace_id", TRACE[:2])),
    (f"span_id:{SPAN}", equal("span_id", SPAN)),
    ("_exists_:span_id NOT span_id:0*", every(exists("span_id"), none(starts("span_id", "0")))),
    # attributes of the record, its scope and its resource
    ("http.status_code:502", equal("http.status_code", 502, "502")),
    ("http.status_code:5.02e2", equal("http.status_code", 502, "5.02e2")),
    ("duration_ms:7.5", equal("duration_ms", 7.5, "7.5")),
    ("duration_ms:slow", equal("duration_ms", "slow")),
    ("k8s.pod.name:web-*", starts("k8s.pod.name", "web-")),
    ("k8s.pod.name:web-apache-1", equal("k8s.pod.name", "web-apache-1")),
    ("host.cpus:2", equal("host.cpus", 2)),
    ("lib.level:deep", equal("lib.level", "deep")),
    ("deployment:blue", equal("deployment", "blue")),
    ("deployment:blue deployment:green", every(equal("deployment", "blue"), equal("deployment", "green"))),
    ("url.path:*login*", contains("url.path", "login")),
    ("url.path:*Login/3*", contains("url.path", "Login/3")),
    (r"url.path:/^\/api\/v[12]\/.*[05]$/", field_matches("url.path", r"^/api/v[12]/.*[05]$")),
    ('exception.message:"not found"', equal("exception.message", "not found")),
    ('exception.message:"Not found (again)"', equal("exception.message", "Not found (again)")),
    (r'exception.message:"a \"quoted\" part"', equal("exception.message", 'a "quoted" part')),
    ("url.path:/api/v1/Log*", starts("url.path", "/api/v1/Log")),
    ("note:xxxx*", starts("note", "xxxx")),
    (r"exception.message:not\ found", equal("exception.message", "not found")),
    ("retry:true", equal("retry", "true")),
    (r"tags:*b\ c*", contains("tags", "b c")),
    ('"odd name":x', equal("odd name", "x")),
    ('_exists_:"odd name"', exists("odd name")),
    ("exception.type:*", exists("exception.type")),
    ("_exists_:event_name", exists("event_name")),
    ("event_name:user.login", equal("event_name", "user.login")),
    (f"note:{'x' * 40}1", equal("note", "x" * 40 + "1")),
    # values that hardly ever come twice
    ("user.id:10000", equal("user.id", 10_000)),
    (f"user.id:{10_000 + 2200 * 7919}", equal("user.id", 10_000 + 2200 * 7919)),
    (f"user.id:{10_000 + 2200 * 7919}.0", equal("user.id", 10_000 + 2200 * 7919)),
    ("user.id:>15000000", compared("user.id", lambda value: value > 15_000_000)),
    ("user.id:[900000 TO 5000000}", compared("user.id", lambda value: 900_000 <= value < 5_000_000)),
    ("user.id:17*", starts("user.id", "17")),
    ("user.id:*777*", contains("user.id", "777")),
    ("NOT user.id:<10000000", none(compared("user.id", lambda value: value < 10_000_000))),
    ("session:s-104729-x", equal("session", "s-104729-x")),
    (f"session:s-{2300 * 104729 % 999983:06}-x", equal("session", f"s-{2300 * 104729 % 999983:06}-x")),
    ("session:s-12*", starts("session", "s-12")),
    ("session:s*", starts("session", "s")),
    ("session:*99*", contains("session", "99")),
    (r"session:/^s-0+1/", field_matches("session", "^s-0+1")),
    ("session:>s-99", compared_text("session", lambda value: value > "s-99")),
    ("NOT session:*1*", none(contains("session", "1"))),
    # comparisons and ranges
    ("duration_ms:>250", compared("duration_ms", lambda value: value > 250)),
    ("duration_ms:>=250.5", compared("duration_ms", lambda value: value >= 250.5)),
    ("duration_ms:<10", compared("duration_ms", lambda value: value < 10)),
    ("duration_ms:<=300", compared("duration_ms", lambda value: value <= 300)),
    ("duration_ms:[100 TO 250]", compared("duration_ms", lambda value: 100 <= value <= 250)),
    ("duration_ms:{100 TO 250}", compared("duration_ms", lambda value: 100 < value < 250)),
    ("duration_ms:[299 TO 301}", compared("duration_ms", lambda value: 299 <= value < 301)),
    ("duration_ms:[990 TO *]", compared("duration_ms", lambda value: value >= 990)),
    ("duration_ms:>998.5", compared("duration_ms", lambda value: value > 998.5)),
    ("duration_ms:{7.25 TO 9.75}", compared("duration_ms", lambda value: 7.25 < value < 9.75)),
    ("duration_ms:<0.75", compared("duration_ms", lambda value: value < 0.75)),
    ("NOT duration_ms:>0.75", none(compared("duration_ms", lambda value: value > 0.75))),
    ("duration_ms:99*", starts("duration_ms", "99")),
    ("duration_ms:300", equal("duration_ms", 300, "300")),
    ("load.id:24*", starts("load.id", "24")),
    ("http.status_code:-1", equal("http.status_code", -1)),
    ("http.status_code:>=500", compared("http.status_code", lambda value: value >= 500)),
    ("load.id:[* TO 99}", compared("load.id", lambda value: value < 99)),
    ("url.path:>=/api/v1", compared_text("url.path", lambda value: value >= "/api/v1")),
    ("url.path:[/api/v0 TO /api/v1}", compared_text("url.path", lambda value: "/api/v0" <= value < "/api/v1")),
    # combinations
    ("error OR warn", some(word("error"), word("warn"))),
    ("error AND warn", every(word("error"), word("warn"))),
    ("root OR error notice", some(word("root"), every(word("error"), word("notice")))),
    ("(root OR error) severity:error", every(some(word("root"), word("error")), severity(17, 20))),
    ("failed NOT password", every(word("failed"), none(word("password")))),
    ("NOT failed", none(word("failed"))),
    ("NOT NOT failed", word("failed")),
    ("NOT (failed OR error)", none(some(word("failed"), word("error")))),
    ("NOT http.status_code:200 service:apache", every(none(equal("http.status_code", 200)), equal("service", "apache"))),
    (
        "severity:>=error (*auth* OR url.path:*Login*) NOT trace_id:*",
        every(severity(17, 24), some(inside("auth"), contains("url.path", "Login")), none(exists("trace_id"))),
    ),
    (
        '((service:hdfs "Received block") OR (service:linux kernel)) AND duration_ms:<500',
        every(
            some(every(equal("service", "hdfs"), row("received", "block")), every(equal("service", "linux"), word("kernel"))),
            compared("duration_ms", lambda value: value < 500),
        ),
    ),
    ("NOT 50010 NOT /\\d{6}/ NOT duration_ms:>1", every(none(word("50010")), none(matches(r"\d{6}")), none(compared("duration_ms", lambda value: value > 1)))),
]


@needs_data
class Queries(Case):
    @classmethod
    def setUpClass(cls):
        cls.records = []
        for data_set in DATA_SETS:
            for line in lines_of(data_set)[:NUM_LINES]:
                cls.records.append(record(len(cls.records), data_set, line))
        cls.expected = [(query, {made["id"] for made in cls.records if test(made)}) for query, test in QUERIES]

    def send(self, agent):
        for start in range(0, len(self.records), 500):
            body = request(self.records[start : start + 500])
            post = urllib.request.Request(f"{agent.http}/v1/logs", body, {"content-type": "application/json"})
            with urllib.request.urlopen(post, timeout=30) as answer:
                self.assertIn(json.load(answer), ({}, {"partialSuccess": {}}))
        agent.wait_until_idle()

    def ask(self, agent, where):
        wrong = []
        for query, expected in self.expected:
            try:
                num_counted, found = self.found(agent, query, expected)
            except urllib.error.HTTPError as error:
                wrong.append((where, query, error.read().decode()))
                continue
            if num_counted != len(expected) or found != expected:
                wrong.append((where, query, len(expected), num_counted, sorted(found ^ expected)[:5]))
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(self.expected)}")

    def found(self, agent, query, expected):
        """How many records are counted, and if there are few, which are found."""
        span = {"start": BASE, "end": BASE + 5000, "buckets": 1}
        num_counted = get_json(f"{agent.api}/api/v1/logs/histogram", query=query, **span)["num_records"]
        if len(expected) > MAX_COMPARED:
            return num_counted, expected
        hits = agent.search(query, limit=MAX_COMPARED + 1)["hits"]
        return num_counted, {hit["attributes"]["load.id"] for hit in hits}

    def check(self, detail):
        env = {"DETAIL": detail}
        agent = self.agent(CONFIG, env=env)
        self.send(agent)
        self.ask(agent, f"{detail}, open tail")
        data = agent.data
        self.finish(agent)
        agent = self.agent(CONFIG, env={**env, "DATA_DIR": str(data)}, name="again")
        self.ask(agent, f"{detail}, on disk")
        self.finish(agent)

    def test_there_are_enough_of_every_kind(self):
        self.assertGreaterEqual(len(QUERIES), 100)
        self.assertEqual(len({query for query, _ in QUERIES}), len(QUERIES))
        # Hardly any of them finds nothing, or everything, which would show little.
        empty = [query for query, expected in self.expected if not expected]
        self.assertLessEqual(len(empty), 8, empty)
        full = [query for query, expected in self.expected if len(expected) == len(self.records)]
        self.assertLessEqual(len(full), 3, full)

    def test_detail_full(self):
        self.check("full")

    def test_detail_lean(self):
        self.check("lean")
