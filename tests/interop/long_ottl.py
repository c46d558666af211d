"""Statements in OTTL, run by the Collector and by Catchment on the same input: the outputs are equal."""

import pathlib
import re
from collections import Counter, defaultdict

import grpc
import yaml

import long_equal
from harness import SERVICES, SIGNALS, Case

LISTS = yaml.safe_load((pathlib.Path(__file__).parent / "statements.yaml").read_text())
MADE = ("value ", "condition ", "editor ")
CONFIG = """
receivers:
  otlp: {protocols: {grpc: {endpoint: "${env:GRPC_ADDRESS}"}, http: {endpoint: "${env:HTTP_ADDRESS}"}}}
exporters:
  otlp: {endpoint: "${env:SERVER_GRPC}", tls: {insecure: true}}
service:
  pipelines:
    logs: {receivers: [otlp], processors: [transform], exporters: [otlp]}
    traces: {receivers: [otlp], processors: [transform], exporters: [otlp]}
    metrics: {receivers: [otlp], processors: [transform], exporters: [otlp]}
"""
XML = '<Log id="1"><User><ID>00001</ID><Name type="first">Joe</Name></User><Text>hi &amp; bye</Text></Log>'
ACCESS = '192.168.0.1 - bob [10/Oct/2000:13:55:36 -0700] "GET /x.html HTTP/1.0" 200 2326'


def at(context, text):
    """A statement with `@name` written out."""
    return re.sub(r"@(\w+)", rf'{context}.attributes["\1"]', text)


def only_where(statement, condition):
    """The statement for those records only."""
    editor, where, own = statement.partition(" where ")
    return f"{editor} where {condition} and ({own})" if where else f"{editor} where {condition}"


def statements():
    """What the processor runs for each signal, a list for each group."""
    values = [f'set(log.attributes["value {number}"], {at("log", text)})' for number, text in enumerate(LISTS["log_values"])]
    values += [f'set(log.attributes["condition {number}"], true) where {at("log", text)}' for number, text in enumerate(LISTS["log_conditions"])]
    editors = ['set(log.cache["input"], log.attributes)']
    for number, text in enumerate(LISTS["log_editors"]):
        own = f'log.cache["{number}"]'
        editors += [f'set({own}, log.cache["input"])', at("log", text).replace("$[", own + "[").replace("$,", own + ",").replace("($)", f"({own})")]
        editors += [f'set(log.attributes["editor {number}"], {own})']
    logs = [[only_where(at("log", text), f'log.attributes["test"] == {number}')] for number, text in enumerate(LISTS["log_statements"])]
    spans = [[only_where(at("span", text), f'span.attributes["test"] == {number}')] for number, text in enumerate(LISTS["span_statements"])]
    metrics = [[only_where(text, f'metric.name == "{number}"')] for number, text in enumerate(LISTS["metric_statements"])]
    return {"log": [editors, values, *logs], "trace": spans, "metric": metrics}


def configuration(groups):
    """The processor with those statements, as text of a file of its own."""
    # A dollar sign is doubled in the file already.
    transform = {f"{name}_statements": [group_of(name, group) for group in of] for name, of in groups.items()}
    return yaml.safe_dump({"processors": {"transform": {"error_mode": "ignore", **transform}}}, width=1000)


def group_of(name, statements):
    """A group of the processor; the Collector takes names of functions as arguments only where the context is named."""
    has_names = any(re.search(r"(SHA1|SHA256|MD5)[,)]", statement) for statement in statements)
    return {**({"context": name} if has_names else {}), "statements": statements}


class Input(long_equal.Input):
    """Records whose attributes the statements are about."""

    def fill_attributes(self, attributes):
        super().fill_attributes(attributes)
        choices = {
            "text": ["hello World foo", "Hello", "hello", "", "plain ünïcode ÄÖ o", "snake_case_text", "HTTPServer2Go", " o h "],
            "level": ["err", "info", "notice", "other", "hello"],
            "code": [200, 404, 503, "text"],
            "number": [7, -3, 12.5, "12", "-7.25", "x", True, 0],
            "positive": [1, 2.5, 1000],
            "flag": [True, False, "true", "maybe", 1],
            "hex": ["ff", "0x1F", "zz", "-10", "077"],
            "json": ['{"a":1,"b":[1,2,{"c":null}],"d":1.5,"e":"x"}', "broken{", "[1,2]", '"s"', "17", '{"text": {"n": 1}}'],
            "pairs": ['k1=v1 k2="v 2" k3=v3', "bad", "a:b!c:d", "a==b", ""],
            "csv": ['a,b,"c d"', "x", "1|2|3", 'a "b",c,d', ""],
            "url": ["http://user:pw@www.example.com:8080/a/b.html?x=1&y=2#frag", "not a url %zz", "/only/path", "https://example.org"],
            "xml": [XML, "<broken", "<a/>", "text"],
            "time": ["2024-05-07T13:14:15.123000Z", "07/May/2024 13:14:15", "Tue May  7 13:14:15 2024", "nonsense"],
            "base64": ["aGVsbG8=", "####", ""],
            "ip": ["192.168.1.77", "10.1.2.3", "2001:db8::1", "x"],
            "card": ["4111111111111111", "4111111111111112", "79927398713", 17, "x"],
            "access": [ACCESS, "something else 12"],
            "duration": ["3h2m", "1.5s", "-2ms", "abc"],
            "bytes": [b"\x01\x02", b""],
            "list": [["a", "b", "c"], ["c"], []],
            "flat": [{"a": 1, "b": "x y", "c": True}, {}],
            "single": [{"key": "value"}, {"n": {"m": 2}}],
            "map": [{"a": 1, "b": {"c": "x", "d": [1, 2]}, "list": ["p", {"q": 1}]}, {}, {"b": 5, "b.c": 6}],
            "numbers": [[3, 1, 2], [2.5, 1], []],
            "things": [[{"name": "x", "value": 1}, {"name": "y", "value": 2}], [{"name": 5}], []],
        }
        for key, values in choices.items():
            if self.random.random() < 0.85:
                self.set(attributes, key, self.random.choice(values))

    def set(self, attributes, key, value):
        self.set_value(attributes.add(key=key).value, value)

    def set_value(self, target, value):
        if isinstance(value, dict):
            target.kvlist_value.SetInParent()
            for key, inner in value.items():
                self.set_value(target.kvlist_value.values.add(key=key).value, inner)
        elif isinstance(value, list):
            target.array_value.SetInParent()
            for inner in value:
                self.set_value(target.array_value.values.add(), inner)
        elif value is None:
            target.SetInParent()
        else:
            kinds = {bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value", str: "string_value"}
            setattr(target, kinds[type(value)], value)

    def fill_logs(self, record):
        super().fill_logs(record)
        self.set(record.attributes, "test", self.random.randrange(len(LISTS["log_statements"])))

    def fill_traces(self, span):
        super().fill_traces(span)
        number = self.random.randrange(len(LISTS["span_statements"]))
        if "set_semconv_span_name" in LISTS["span_statements"][number]:
            self.fill_semantic(span)
        self.set(span.attributes, "test", number)

    def fill_semantic(self, span):
        """Attributes by which the semantic conventions name a span."""
        kinds = (
            {"http.request.method": ["GET", "POST", "_OTHER"], "http.route": ["/users/{id}"], "url.template": ["/t/{x}"]},
            {"rpc.method": ["Get"], "rpc.service": ["shop.Orders"], "rpc.system": ["grpc"]},
            {"db.system.name": ["postgresql"], "db.operation.name": ["SELECT"], "db.collection.name": ["orders"], "db.namespace": ["shop"], "db.query.summary": ["SELECT orders"], "server.address": ["db1"], "server.port": [5432]},
            {"messaging.system": ["kafka"], "messaging.operation.name": ["send"], "messaging.destination.name": ["topic"], "messaging.destination.template": ["topic-{x}"], "messaging.destination.temporary": [True, False], "messaging.destination.anonymous": [True, False]},
            {"faas.trigger": ["timer"], "graphql.operation.type": ["query"], "graphql.operation.name": ["find"]},
        )
        for key, values in self.random.choice(kinds).items():
            if self.random.random() < 0.7:
                self.set(span.attributes, key, self.random.choice(values))

    def fill_metrics(self, metric):
        super().fill_metrics(metric)
        metric.name = str(self.random.randrange(len(LISTS["metric_statements"])))


def plain(message):
    """A message as a value that is equal for equal contents: the order of attributes says nothing."""
    fields = []
    for field, value in message.ListFields():
        if field.message_type is None:
            fields.append((field.name, tuple(value) if field.is_repeated else value))
        elif not field.is_repeated:
            fields.append((field.name, plain(value)))
        elif field.message_type.name == "KeyValue":
            fields.append((field.name, frozenset((pair.key, plain(pair.value)) for pair in value)))
        else:
            fields.append((field.name, tuple(map(plain, value))))
    # What is there and empty says no more than what is not there.
    return tuple(field for field in fields if field[1] != () or field[0] == "array_value")


def statement_of(signal, record, key=None):
    """The statement that made a record what it is, or that made an attribute of it."""
    if key and key.startswith(MADE):
        kind, number = key.split()
        return LISTS[f"log_{kind}s"][int(number)]
    if signal == "metrics":
        return LISTS["metric_statements"][int(dict(record[2])["name"].partition(".")[0].partition("_")[0])]
    number = dict(dict(dict(record[2]).get("attributes", ())).get("test", ())).get("int_value")
    return "unknown" if number is None else LISTS[{"logs": "log", "traces": "span"}[signal] + "_statements"][number]


class Statements(Case):
    def outputs(self, name, arguments):
        """The records that an agent makes of the input."""
        server = self.otlp_server()
        agent = self.agent(CONFIG + configuration(statements()), name=name, arguments=arguments, env=server.env)
        inputs = Input(seed=11)
        with grpc.insecure_channel(agent.grpc) as channel:
            for signal in SIGNALS:
                for request in inputs.requests(signal):
                    long_equal.STUBS[signal](channel).Export(request, timeout=60)
        if name == "catchment":
            self.finish(agent)
        else:
            agent.stop()
        return {signal: list(records(signal, server.requests[signal])) for signal in SIGNALS}

    def test_outputs_are_equal(self):
        wanted = self.outputs("collector", [long_equal.COLLECTOR])
        found = self.outputs("catchment", None)
        different = defaultdict(list)
        for signal in SIGNALS:
            self.assertGreater(len(wanted[signal]), 1000, signal)
            left, right = Counter(wanted[signal]), Counter(found[signal])
            sides = [sorted((side).elements(), key=repr) for side in (left - right, right - left)]
            for theirs, ours in zip(*map(lambda side: by_identity(signal, side), sides)):
                compare(signal, theirs, ours, different)
        for statement, examples in different.items():
            print(f"\n{len(examples)} x {statement}")
            for theirs, ours in examples[:2]:
                print(f"  Collector: {theirs}\n  Catchment: {ours}")
        num_statements = sum(map(len, LISTS.values()))
        self.assertEqual(set(different), set(), "differ")
        self.assertEqual(*({signal: len(side[signal]) for signal in SIGNALS} for side in (wanted, found)))
        print(f"{num_statements} statements, {sum(map(len, wanted.values()))} records, all equal")


def records(signal, requests):
    """The records of a signal as (resource, scope, record), all plain."""
    outer, inner, kind = {
        "logs": ("resource_logs", "scope_logs", "log_records"),
        "traces": ("resource_spans", "scope_spans", "spans"),
        "metrics": ("resource_metrics", "scope_metrics", "metrics"),
    }[signal]
    for request in requests:
        for resource in getattr(request, outer):
            for scope in getattr(resource, inner):
                for record in getattr(scope, kind):
                    yield plain(resource.resource), plain(scope.scope), plain(record)


def by_identity(signal, side):
    """Records in an order in which those of both sides stand beside each other."""

    def identity(record):
        fields = dict(record[2])
        attributes = dict(fields.get("attributes", ()))
        return (
            repr(attributes.get("test")) if signal != "metrics" else fields["name"],
            *(fields.get(name, 0) for name in ("observed_time_unix_nano", "start_time_unix_nano")),
            repr(record),
        )

    return sorted(side, key=identity)


def compare(signal, theirs, ours, different):
    """Notes in which statements two records differ."""
    left, right = (dict(dict(record[2]).get("attributes", ())) for record in (theirs, ours))
    made = {key for key in left.keys() | right.keys() if key.startswith(MADE) and left.get(key) != right.get(key)}
    for key in made:
        different[statement_of(signal, ours, key)].append((left.get(key), right.get(key)))
    if not made:
        def changed(one, other):
            return [part for part in one[2] if part not in other[2]] or one[:2]

        different[statement_of(signal, ours)].append((changed(theirs, ours), changed(ours, theirs)))
