//! Telemetry for benchmarks, made the same way each time.
//!
//! Requests of 500 records, 4 resources of 10 attributes each; bodies from loghub's files, each
//! resource going through one of them, where `CATCHMENT_TEST_DATA` names their folder, else from
//! templates; every number of at least four digits is rolled anew; 6 attributes, one of them a UUID
//! and one a double; trace and span ids on every other record.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catchment::data::{Batch, Context, DoorLimits, Signal, Time};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub(crate) const RECORDS_PER_REQUEST: usize = 500;
pub(crate) const START: u64 = 1_795_532_400_000_000_000;
/// A record every 10 µs.
pub(crate) const STEP: u64 = 10_000;

const TEMPLATES: [&str; 6] = [
    "Received block blk_1608999687919862906 of size 91178 from /10.250.14.224 and written to disk",
    "Failed password for invalid user admin from 185.190.58.151 port 55495 ssh2",
    "workerEnv.init() ok /etc/httpd/conf/workers2.properties jk2_init() Found child 6725 in slot 10",
    "Connection broken for id 188978561024, my id = 1, error = java.io.EOFException at line 765",
    "session opened for user root by (uid=0) after 3312 ms, pam_unix(sshd:session) tty 7",
    "GET /api/v1/users/55120/orders?page=17 answered 502 in 1834 ms, upstream connection refused",
];

/// The rows as requests, made one after the other.
pub(crate) struct Corpus {
    /// The lines of each file.
    pub(crate) files: Vec<Vec<String>>,
    pub(crate) random: SmallRng,
    pub(crate) num_records: u64,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        let mut files = vec![TEMPLATES.iter().map(|line| (*line).to_owned()).collect()];
        if let Ok(folder) = std::env::var("CATCHMENT_TEST_DATA") {
            let read = |name: &str| {
                let path = Path::new(&folder).join(format!("loghub/{name}/{name}_2k.log"));
                let bytes = fs::read(path).expect("loghub is in the folder of test data");
                String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
            };
            files = ["HDFS", "Apache", "OpenSSH", "Zookeeper"].map(read).to_vec();
        }
        Self { files, random: SmallRng::seed_from_u64(7), num_records: 0 }
    }

    /// A line with every number of at least four digits rolled anew.
    fn body(&mut self, resource: usize) -> String {
        let lines = &self.files[resource % self.files.len()];
        let line = &lines[usize::try_from(self.num_records).expect("not so many") % lines.len()];
        let mut body = String::with_capacity(line.len());
        let mut rest = line.as_str();
        while let Some(start) = rest.find(|char: char| char.is_ascii_digit()) {
            let (before, digits) = rest.split_at(start);
            let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
            let (digits, after) = digits.split_at(end);
            body.push_str(before);
            if digits.len() >= 4 {
                body.extend(
                    digits.chars().map(|_| char::from(self.random.random_range(b'0'..=b'9'))),
                );
            } else {
                body.push_str(digits);
            }
            rest = after;
        }
        body.push_str(rest);
        body
    }

    fn record(&mut self, resource: usize) -> LogRecord {
        self.num_records += 1;
        let time = START + self.num_records * STEP;
        let uuid: u128 = self.random.random();
        let has_ids = self.num_records.is_multiple_of(2);
        let id = |random: &mut SmallRng, length: usize| -> Vec<u8> {
            if has_ids { (0..length).map(|_| random.random()).collect() } else { Vec::new() }
        };
        LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time + 1_000,
            severity_number: [5, 9, 9, 9, 13, 17][self.random.random_range(0..6)],
            severity_text: "INFO".to_owned(),
            body: Some(AnyValue { value: Some(Value::StringValue(self.body(resource))) }),
            attributes: vec![
                text(
                    "log.file.path",
                    format!("/var/log/app-{}.log", self.random.random_range(0..20)),
                ),
                text("request.id", dashed(uuid)),
                value("thread.id", Value::IntValue(self.random.random_range(0..64))),
                value("http.status_code", Value::IntValue(self.random.random_range(200..505))),
                value("duration_ms", Value::DoubleValue(self.random.random::<f64>() * 1000.0)),
                value("retried", Value::BoolValue(self.random.random())),
            ],
            trace_id: id(&mut self.random, 16),
            span_id: id(&mut self.random, 8),
            ..LogRecord::default()
        }
    }

    pub(crate) fn batch(&mut self) -> Batch {
        let resource_logs = (0..4).map(|number| {
            let log_records = (0..RECORDS_PER_REQUEST / 4).map(|_| self.record(number)).collect();
            ResourceLogs {
                resource: Some(resource(number)),
                scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
                ..ResourceLogs::default()
            }
        });
        let request = ExportLogsServiceRequest { resource_logs: resource_logs.collect() };
        let arrived = Time::from_unix_nanos(START + self.num_records * STEP);
        let context = Arc::new(Context { arrived, ..Context::default() });
        let bytes = Bytes::from(request.encode_to_vec());
        let admitted = Batch::try_new(Signal::Logs, bytes, context, &DoorLimits::default());
        admitted.expect("it was encoded just now").batch
    }
}

/// A UUID in its usual form.
fn dashed(uuid: u128) -> String {
    let hex = format!("{uuid:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range));
    parts.into_iter().flatten().collect::<Vec<_>>().join("-")
}

fn value(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, text: impl Into<String>) -> KeyValue {
    value(key, Value::StringValue(text.into()))
}

fn resource(number: usize) -> Resource {
    let attributes = vec![
        text("service.name", ["checkout", "cart", "payment", "frontend"][number]),
        text("service.namespace", "shop"),
        text("service.version", "2.4.1"),
        text("service.instance.id", format!("8e2c1d7a-5f0b-4f6e-9d59-{number:012}")),
        text("host.name", format!("node-{number}")),
        text("k8s.namespace.name", "shop"),
        text("k8s.pod.name", format!("pod-7d4b9c5f6-{number}")),
        text("k8s.node.name", format!("node-{number}")),
        text("cloud.region", "eu-central-1"),
        text("deployment.environment.name", "production"),
    ];
    Resource { attributes, ..Resource::default() }
}

/// CPU time that this process took so far, of all its threads.
pub(crate) fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("there is /proc");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // utime and stime, fields 14 and 15, in hundredths of a second.
    let ticks: u64 =
        fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
