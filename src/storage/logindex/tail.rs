//! The open tail: batches that are not committed yet. They are scanned as bytes.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::error::LogIndexError;
use super::filter::Filter;
use super::index::Entry;
use super::record::{Envelope, Found, is_own_match};
use super::schema::event_time;
use super::search::{Hit, Search};
use super::sieve::Sieve;
use super::top::Top;
use super::walk::walk;
use crate::data::{Batch, LogRecord, Value};

/// What is known of the chunks of a batch.
pub(crate) type BatchFacts = SmallVec<[ChunkFacts; 1]>;

/// What is known of the records of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkFacts {
    /// The earliest time; nothing is earlier than that of no records.
    min_time: i64,
    /// The latest time.
    max_time: i64,
    /// Whether all bodies are text, or nothing.
    has_only_texts: bool,
}

/// A chunk that may have records of a time that is looked for.
struct Piece<'a> {
    chunk: &'a Bytes,
    facts: ChunkFacts,
    arrived: u64,
}

/// Records of one resource and scope.
struct Group {
    envelope: Arc<Envelope>,
    /// What is left of the filter for them.
    filter: Filter,
    /// What they share has what a record must have.
    may_match: bool,
}

/// Looks through a batch for what searches of it want to know.
pub(crate) fn facts_of(batch: &Batch) -> BatchFacts {
    let arrived = batch.context().arrived.as_unix_nanos();
    batch.chunks().iter().map(|chunk| ChunkFacts::of(chunk, arrived)).collect()
}

impl ChunkFacts {
    fn of(chunk: &Bytes, arrived: u64) -> Self {
        let mut facts = Self { min_time: i64::MAX, max_time: i64::MIN, has_only_texts: true };
        let walked: Result<(), ()> = walk(
            chunk,
            |_| Ok(()),
            |(), encoded| {
                let record = LogRecord::of_encoded(encoded);
                let time = time_of(record, arrived);
                facts.min_time = facts.min_time.min(time);
                facts.max_time = facts.max_time.max(time);
                facts.has_only_texts &= matches!(record.body(), Value::Str(_) | Value::Empty);
                Ok(())
            },
        );
        debug_assert!(walked.is_ok(), "no record is an error");
        facts
    }

    const fn overlaps(&self, range: &Range<i64>) -> bool {
        self.min_time < range.end && self.max_time >= range.start
    }
}

/// The earliest and the latest time of all records, nothing if there are none.
pub(crate) fn times(entries: &[Arc<Entry>]) -> Option<(i64, i64)> {
    let facts = || entries.iter().flat_map(|entry| &entry.facts);
    let min_time = facts().map(|facts| facts.min_time).min()?;
    Some((min_time, facts().map(|facts| facts.max_time).max()?))
}

/// Finds what ranks higher than `floor`, if one is given: at most `search.limit`, in order.
pub(crate) fn search(
    entries: &[Arc<Entry>],
    search: &Search,
    floor: Option<i64>,
) -> Result<Vec<Hit>, LogIndexError> {
    let sieve = Sieve::new(&search.filter);
    let mut pieces = pieces(entries, search);
    let highest = |facts: ChunkFacts| search.order.highest(facts.min_time, facts.max_time);
    pieces.sort_by_key(|piece| Reverse(highest(piece.facts)));
    // Of equal times what was found first stays first, however many are wanted.
    let mut top: Top<Reverse<usize>> = Top::new(search.order, search.limit, floor);
    let mut found: Vec<Found> = Vec::new();
    for piece in pieces {
        let range = top.wanted_within(&search.time);
        if !piece.facts.overlaps(&range) {
            continue;
        }
        search.patience.check()?;
        piece.scan(search, &sieve, &range, |time, envelope, record| {
            if top.is_wanted(time) {
                top.push(time, Reverse(found.len()));
                let envelope = Arc::clone(envelope);
                found.push(Found { envelope, encoded: piece.chunk.slice_ref(record.bytes()) });
            }
        });
        top.cut();
    }
    let places = top.finish();
    let hits = places.into_iter().filter_map(|(time, Reverse(place))| {
        found.get(place).map(|found| Hit { time, found: found.clone() })
    });
    let hits: Vec<Hit> = hits.collect();
    search.allowance.take(hits.iter().map(Hit::size_bytes).sum())?;
    Ok(hits)
}

/// Calls `each` with the time of every record that matches and the record.
pub(crate) fn visit(
    entries: &[Arc<Entry>],
    search: &Search,
    mut each: impl FnMut(i64, LogRecord<'_>),
) -> Result<(), LogIndexError> {
    let sieve = Sieve::new(&search.filter);
    for piece in pieces(entries, search) {
        search.patience.check()?;
        piece.scan(search, &sieve, &search.time, |time, _, record| each(time, record));
    }
    Ok(())
}

fn pieces<'a>(entries: &'a [Arc<Entry>], search: &Search) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    for entry in entries {
        let arrived = entry.batch.context().arrived.as_unix_nanos();
        for (chunk, facts) in entry.batch.chunks().iter().zip(&entry.facts) {
            if facts.overlaps(&search.time) {
                pieces.push(Piece { chunk, facts: *facts, arrived });
            }
        }
    }
    pieces
}

impl<'a> Piece<'a> {
    /// Calls `each` for every record within `range` that matches.
    fn scan(
        &self,
        search: &Search,
        sieve: &Sieve,
        range: &Range<i64>,
        mut each: impl FnMut(i64, &Arc<Envelope>, LogRecord<'a>),
    ) {
        let has_only_texts = self.facts.has_only_texts;
        let mut sifted = sieve.sift(self.chunk, |cover| has_only_texts || !cover.touched.body);
        if sifted.is_empty() {
            return;
        }
        let cover = sifted.cover;
        let walked: Result<(), ()> = walk(
            self.chunk,
            |envelope| {
                let may_match = cover.is_none_or(|cover| cover.is_in(&envelope));
                let filter = search.filter.within(&envelope);
                Ok(Group { envelope: Arc::new(envelope), filter, may_match })
            },
            |group, encoded| {
                if !group.may_match && !sifted.may_match(&place(encoded, self.chunk)) {
                    return Ok(());
                }
                let record = LogRecord::of_encoded(encoded);
                let time = time_of(record, self.arrived);
                if range.contains(&time) && is_own_match(record, &group.filter) {
                    each(time, &group.envelope, record);
                }
                Ok(())
            },
        );
        debug_assert!(walked.is_ok(), "no record is an error");
    }
}

fn time_of(record: LogRecord<'_>, arrived: u64) -> i64 {
    event_time(record.time_or_observed().as_unix_nanos(), 0, arrived)
}

/// Where `part` stands in `whole`, which it is a part of.
fn place(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{
        AnyValue, InstrumentationScope, KeyValue, KeyValueList,
    };
    use opentelemetry_proto::tonic::logs::v1::{LogRecord as Record, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use proptest::prelude::*;
    use proptest::sample::select;
    use prost::Message as _;

    use super::*;
    use crate::data::{Context, DoorLimits, Signal, SpanId, Time, TraceId};
    use crate::storage::logindex::words::words;
    use crate::storage::logindex::{
        Allowance, Detail, FieldName, LogIndex, Order, Patience, Row, Settings, Test, Wanted,
        is_match,
    };

    /// With a sign for kelvin, a Turkish `I`, a long `s`, and what is ASCII only in part.
    const TEXTS: [&str; 14] = [
        "Connection REFUSED",
        "connection refused by tokenKafka",
        "TO\u{212a}EN \u{212a}afka",
        "H\u{130} there",
        "hi there",
        "refu\u{17f}ed",
        "die GRÖSSE, GRÖßE",
        "größe",
        "a\nbc d",
        "true",
        "AQIDBAUG",
        "404",
        "x",
        "",
    ];
    const NAMES: [&str; 4] = ["http.code", "k8s", "event_name", "n"];
    const PARTS: [&str; 12] = [
        "refused", "token", "kafka", "hi", "größe", "nbc", "true", "aqid", "404", "on ref", "ö",
        "x",
    ];

    fn wrapped(value: Any) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn pair(name: &str, value: AnyValue) -> KeyValue {
        KeyValue { key: name.into(), value: Some(value), ..KeyValue::default() }
    }

    fn values() -> impl Strategy<Value = AnyValue> {
        let text = || select(&TEXTS[..]).prop_map(|text| wrapped(Any::StringValue(text.into())));
        prop_oneof![
            8 => text(),
            1 => select(vec![404, -1, 7]).prop_map(|int| wrapped(Any::IntValue(int))),
            1 => select(vec![404.0, 0.5]).prop_map(|double| wrapped(Any::DoubleValue(double))),
            1 => any::<bool>().prop_map(|flag| wrapped(Any::BoolValue(flag))),
            1 => Just(wrapped(Any::BytesValue(vec![1, 2, 3, 4, 5, 6]))),
            1 => Just(AnyValue { value: None }),
            1 => text().prop_map(|value| {
                wrapped(Any::KvlistValue(KeyValueList { values: vec![pair("k", value)] }))
            }),
        ]
    }

    fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
        let pairs = (select(&NAMES[..]), values()).prop_map(|(name, value)| pair(name, value));
        prop::collection::vec(pairs, 0..3)
    }

    fn records() -> impl Strategy<Value = Record> {
        let is_text = prop::bool::weighted(0.9);
        let text = select(&TEXTS[..]).prop_map(|text| wrapped(Any::StringValue(text.into())));
        let body = (is_text, text, values()).prop_map(|(is_text, text, other)| match is_text {
            true => text,
            false => other,
        });
        let fields = (0_u64..60, body, attributes(), 0_u8..4, select(&TEXTS[..]), 0..3);
        fields.prop_map(|(time, body, attributes, id, text, severity_number)| Record {
            time_unix_nano: time,
            severity_number,
            body: Some(body),
            attributes,
            trace_id: if id > 0 { vec![id * 33; 16] } else { Vec::new() },
            span_id: if id > 0 { vec![id * 33; 8] } else { Vec::new() },
            severity_text: text.into(),
            event_name: if id == 1 { text.into() } else { String::new() },
            ..Record::default()
        })
    }

    /// A request; what records share stands before some and behind others.
    fn requests() -> impl Strategy<Value = ExportLogsServiceRequest> {
        let group = (attributes(), select(&TEXTS[..]), prop::collection::vec(records(), 0..6));
        let groups = group.prop_map(|(attributes, scope, log_records)| ResourceLogs {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_logs: vec![ScopeLogs {
                scope: Some(InstrumentationScope { name: scope.into(), ..Default::default() }),
                log_records,
                schema_url: "refused".into(),
            }],
            schema_url: "token".into(),
        });
        prop::collection::vec(groups, 1..3)
            .prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
    }

    fn tests() -> impl Strategy<Value = Test> {
        let texts = || prop_oneof![select(&PARTS[..]), select(&TEXTS[..])].prop_map(str::to_owned);
        prop_oneof![
            texts().prop_map(|text| Test::Equal(Wanted::new(text))),
            texts().prop_map(Test::Prefix),
            texts().prop_map(Test::Contains),
            texts().prop_map(|text| Test::ContainsAnyCase(text.to_lowercase())),
            select(vec!["(?i)token", "(?i)REFUSED", "ref(used|x)", "404|true", "nbc", "größe"])
                .prop_map(|text| Test::Matches(regex::Regex::new(text).unwrap())),
            Just(Test::Exists),
        ]
    }

    fn filters() -> impl Strategy<Value = Filter> {
        let row = (prop_oneof![select(&PARTS[..]), select(&TEXTS[..])], any::<bool>());
        let names = prop_oneof![
            4 => select(&NAMES[..]).prop_map(|name| FieldName::Attribute(name.into())),
            2 => Just(FieldName::Body),
            1 => Just(FieldName::SeverityText),
            1 => Just(FieldName::Scope),
            1 => Just(FieldName::TraceId),
        ];
        let leaf = prop_oneof![
            3 => row.prop_map(|(text, is_open)| Filter::Row(Row { words: words(text), is_open })),
            4 => (names, tests()).prop_map(|(name, test)| Filter::Field(name, test)),
            1 => (1_u8..5).prop_map(|id| {
                let id = format!("{:02x}", id * 33);
                Filter::TraceId(TraceId::from_hex(&id.repeat(16)).unwrap())
            }),
            1 => (1_u8..5).prop_map(|id| {
                let id = format!("{:02x}", id * 33);
                Filter::SpanId(SpanId::from_hex(&id.repeat(8)).unwrap())
            }),
            1 => Just(Filter::Severity(1..=1)),
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
                prop::collection::vec(inner.clone(), 1..4).prop_map(Filter::And),
                prop::collection::vec(inner, 1..4).prop_map(Filter::Or),
            ]
        })
    }

    /// The times of all records that match, each looked at as a whole.
    fn plainly(requests: &[ExportLogsServiceRequest], wanted: &Search) -> Vec<i64> {
        let mut times = Vec::new();
        for request in requests {
            let chunk = Bytes::from(request.encode_to_vec());
            let walked: Result<(), ()> = walk(&chunk, Ok, |envelope, encoded| {
                let record = LogRecord::of_encoded(encoded);
                let time = time_of(record, 1);
                if wanted.time.contains(&time) && is_match(record, envelope, &wanted.filter) {
                    times.push(time);
                }
                Ok(())
            });
            walked.unwrap();
        }
        times.sort_by_key(|time| Reverse(wanted.order.rank(*time)));
        times
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn search_finds_what_a_look_at_every_record_finds(
            requests in prop::collection::vec(requests(), 1..6),
            searches in prop::collection::vec(
                (filters(), 0_i64..40, 20_i64..70, 0_usize..9, any::<bool>()), 40
            ),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let index = LogIndex::open(Settings {
                directory: folder.path().to_owned(),
                window: Duration::from_secs(3600),
                detail: Detail::Lean,
                memory_bytes: 64 << 20,
                max_age: None,
                max_size_bytes: None,
            }).unwrap();
            for request in &requests {
                let context = Context { arrived: Time::from_unix_nanos(1), ..Context::default() };
                let bytes = request.encode_to_vec().into();
                let limits = DoorLimits::default();
                let batch = Batch::try_new(Signal::Logs, bytes, Arc::new(context), &limits);
                index.try_add(&batch.unwrap().batch).unwrap();
            }
            let entries: Vec<_> = index.shared().state().tail.iter().cloned().collect();
            for (filter, start, end, limit, is_oldest) in searches {
                let order = if is_oldest { Order::OldestFirst } else { Order::NewestFirst };
                let wanted = Search { filter, time: start..end, order, limit, patience: Patience::default(), allowance: Allowance::default() };
                let mut expected = plainly(&requests, &wanted);
                let mut visited = Vec::new();
                visit(&entries, &wanted, |time, _| visited.push(time)).unwrap();
                visited.sort_by_key(|time| Reverse(order.rank(*time)));
                prop_assert_eq!(&visited, &expected, "{:?}", &wanted.filter);
                let found = search(&entries, &wanted, None).unwrap();
                let found: Vec<i64> = found.iter().map(|hit| hit.time).collect();
                expected.truncate(limit);
                prop_assert_eq!(found, expected, "{:?}", &wanted.filter);
            }
        }
    }

    #[test]
    fn of_equal_times_the_first_stay_the_first_however_many_are_wanted() {
        let record = |number: i64| Record {
            time_unix_nano: 5,
            body: Some(wrapped(Any::IntValue(number))),
            ..Record::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let index = LogIndex::open(Settings {
            directory: folder.path().to_owned(),
            window: Duration::from_secs(3600),
            detail: Detail::Lean,
            memory_bytes: 64 << 20,
            max_age: None,
            max_size_bytes: None,
        })
        .unwrap();
        for first in [0, 3] {
            let log_records = (first..first + 3).map(record).collect();
            let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
            let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
            let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec().into();
            let (context, limits) = (Arc::new(Context::default()), DoorLimits::default());
            let batch = Batch::try_new(Signal::Logs, bytes, context, &limits).unwrap().batch;
            index.try_add(&batch).unwrap();
        }
        let entries: Vec<_> = index.shared().state().tail.iter().cloned().collect();
        for limit in 1..8 {
            let (filter, order) = (Filter::All, Order::NewestFirst);
            let wanted = Search {
                filter,
                time: 0..9,
                order,
                limit,
                patience: Patience::default(),
                allowance: Allowance::default(),
            };
            let found = search(&entries, &wanted, None).unwrap();
            let bodies = found.iter().map(|hit| hit.found.record().body().to_text().into_owned());
            let first: Vec<String> = (0..6).take(limit).map(|number| number.to_string()).collect();
            assert_eq!(bodies.collect::<Vec<_>>(), first);
        }
    }
}
