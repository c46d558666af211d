//! Edits give what the same edits on prost structs give.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message as _;

use super::arbitrary::{UNKNOWN, noisy_request, request, with_unknown_fields};
use super::flatten::flatten;
use super::{admit, normal_batch};
use crate::data::{AttributesMut, Batch, Signal, Time, Value};

/// A write to the attributes of a record.
#[derive(Clone, Debug)]
enum Write {
    Set(String, i64),
    Insert(String, i64),
    Update(String, i64),
    Remove(String),
    Copy(String, String),
    KeepOnly(String),
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let key = || "[a-d]";
    let write = prop_oneof![
        (key(), any::<i64>()).prop_map(|(key, value)| Write::Set(key, value)),
        (key(), any::<i64>()).prop_map(|(key, value)| Write::Insert(key, value)),
        (key(), any::<i64>()).prop_map(|(key, value)| Write::Update(key, value)),
        key().prop_map(Write::Remove),
        (key(), key()).prop_map(|(from, to)| Write::Copy(from, to)),
        key().prop_map(Write::KeepOnly),
    ];
    proptest::collection::vec(write, 0..6)
}

fn apply(writes: &[Write], mut attributes: AttributesMut<'_, '_, '_>) {
    for write in writes {
        match write {
            Write::Set(key, value) => {
                attributes.set(key, Value::Int(*value));
                assert_eq!(attributes.get(key), Some(Value::Int(*value)));
            }
            Write::Insert(key, value) => {
                let is_there = attributes.contains(key);
                assert_eq!(attributes.insert(key, Value::Int(*value)), !is_there);
            }
            Write::Update(key, value) => {
                let is_there = attributes.contains(key);
                assert_eq!(attributes.update(key, Value::Int(*value)), is_there);
            }
            Write::Remove(key) => {
                let is_there = attributes.contains(key);
                assert_eq!(attributes.remove(key), is_there);
                assert!(!attributes.contains(key));
            }
            Write::Copy(from, to) => {
                let is_there = attributes.contains(from);
                assert_eq!(attributes.copy(from, to), is_there);
            }
            Write::KeepOnly(wanted) => {
                attributes.retain(|key, _| key == wanted);
            }
        }
    }
}

fn apply_to_prost(writes: &[Write], attributes: &mut Vec<KeyValue>) {
    fn set(attributes: &mut Vec<KeyValue>, key: &str, value: Option<AnyValue>) {
        let pair = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
        match attributes.iter().rposition(|pair| pair.key == key) {
            Some(index) => attributes[index] = pair,
            None => attributes.push(pair),
        }
    }
    for write in writes {
        let has = |key: &str| attributes.iter().any(|pair| pair.key == key);
        let int = |value: &i64| Some(AnyValue { value: Some(ProtoValue::IntValue(*value)) });
        match write {
            Write::Set(key, value) => set(attributes, key, int(value)),
            Write::Insert(key, value) if !has(key) => set(attributes, key, int(value)),
            Write::Update(key, value) if has(key) => set(attributes, key, int(value)),
            Write::Remove(key) => attributes.retain(|pair| pair.key != *key),
            Write::KeepOnly(key) => attributes.retain(|pair| pair.key == *key),
            Write::Copy(from, to) => {
                let found = attributes.iter().rfind(|pair| pair.key == *from).cloned();
                if let Some(pair) = found {
                    // What has no value is copied as one that is empty.
                    set(attributes, to, Some(pair.value.unwrap_or_default()));
                }
            }
            Write::Insert(..) | Write::Update(..) => {}
        }
    }
}

/// Calls `edit` with the attributes of each record.
pub(crate) fn edit_with_prost(batch: &Batch, mut edit: impl FnMut(&mut Vec<KeyValue>)) -> Vec<u8> {
    let bytes = batch.merged_bytes();
    match batch.signal() {
        Signal::Logs => {
            let mut request = ExportLogsServiceRequest::decode(bytes).expect("valid");
            let scopes = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
            for record in scopes.flat_map(|scope| &mut scope.log_records) {
                edit(&mut record.attributes);
            }
            request.encode_to_vec()
        }
        Signal::Traces => {
            let mut request = ExportTraceServiceRequest::decode(bytes).expect("valid");
            let scopes = request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans);
            for span in scopes.flat_map(|scope| &mut scope.spans) {
                edit(&mut span.attributes);
            }
            request.encode_to_vec()
        }
        Signal::Metrics => {
            let mut request = ExportMetricsServiceRequest::decode(bytes).expect("valid");
            let groups = request.resource_metrics.iter_mut();
            let scopes = groups.flat_map(|group| &mut group.scope_metrics);
            for metric in scopes.flat_map(|scope| &mut scope.metrics) {
                for attributes in point_attributes(&mut metric.data) {
                    edit(attributes);
                }
            }
            request.encode_to_vec()
        }
    }
}

fn point_attributes(data: &mut Option<Data>) -> Vec<&mut Vec<KeyValue>> {
    match data {
        None => Vec::new(),
        Some(Data::Gauge(gauge)) => {
            gauge.data_points.iter_mut().map(|point| &mut point.attributes).collect()
        }
        Some(Data::Sum(sum)) => {
            sum.data_points.iter_mut().map(|point| &mut point.attributes).collect()
        }
        Some(Data::Histogram(histogram)) => {
            histogram.data_points.iter_mut().map(|point| &mut point.attributes).collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            histogram.data_points.iter_mut().map(|point| &mut point.attributes).collect()
        }
        Some(Data::Summary(summary)) => {
            summary.data_points.iter_mut().map(|point| &mut point.attributes).collect()
        }
    }
}

/// What an edit made goes through the door as it is.
fn check_valid(batch: &Batch) {
    let bytes = batch.merged_bytes().to_vec();
    let again = admit(batch.signal(), bytes.clone());
    assert_eq!(again.num_records(), batch.num_records());
    assert_eq!(again.merged_bytes(), bytes);
}

fn count_unknown(batch: &Batch) -> usize {
    batch.merged_bytes().windows(UNKNOWN.len()).filter(|window| *window == UNKNOWN).count()
}

/// The first and last record of each piece are where the predicate says.
fn is_kept(mask: u64, index: usize) -> bool {
    mask >> (index % 64) & 1 == 1
}

proptest! {
    #[test]
    fn retain_keeps_what_it_shall((signal, bytes) in noisy_request(), mask in any::<u64>()) {
        let batch = admit(signal, bytes);
        let mut index = 0;
        let kept = batch.retain(|_| {
            index += 1;
            is_kept(mask, index - 1)
        });
        prop_assert_eq!(index, batch.num_records());
        check_valid(&kept);
        let expected: Vec<Vec<u8>> = flatten(&batch)
            .into_iter()
            .enumerate()
            .filter(|(index, _)| is_kept(mask, *index))
            .map(|(_, record)| record)
            .collect();
        prop_assert_eq!(kept.num_records(), expected.len());
        prop_assert_eq!(flatten(&kept), expected);
        prop_assert_eq!(kept.is_empty(), kept.size_bytes() == 0);
    }

    #[test]
    fn retain_of_all_shares_the_memory((signal, bytes) in request()) {
        let batch = admit(signal, bytes);
        let kept = batch.retain(|_| true).retain(|_| true);
        let again = kept.retain(|_| true);
        for (left, right) in kept.chunks().iter().zip(again.chunks()) {
            prop_assert_eq!(left.as_ptr(), right.as_ptr());
        }
        prop_assert_eq!(flatten(&batch), flatten(&again));
    }

    #[test]
    fn retain_of_metrics_keeps_whole_ones((_, bytes) in noisy_request(), mask in any::<u64>()) {
        let limits = crate::data::DoorLimits::default();
        let Ok(admitted) = Batch::try_new(Signal::Metrics, bytes.into(), Default::default(), &limits)
        else {
            return Ok(());
        };
        let batch = admitted.batch;
        let mut names = Vec::new();
        let mut index = 0;
        let kept = batch.retain_metrics(|item| {
            index += 1;
            let is_kept = is_kept(mask, index - 1);
            if is_kept && item.record.points().next().is_some() {
                names.push((item.record.name().to_owned(), item.record.points().count()));
            }
            is_kept
        });
        check_valid(&kept);
        let left: Vec<(String, usize)> = kept
            .metrics()
            .items()
            .map(|item| (item.record.name().to_owned(), item.record.points().count()))
            .collect();
        prop_assert_eq!(left, names);
    }

    #[test]
    fn attributes_are_written_as_with_prost(
        (signal, bytes) in noisy_request(),
        writes in writes(),
    ) {
        let batch = admit(signal, bytes);
        let edited = batch.rewrite(|_, record| apply(&writes, record.attributes_mut()));
        check_valid(&edited);
        let expected = edit_with_prost(&batch, |attributes| apply_to_prost(&writes, attributes));
        prop_assert_eq!(normal_batch(&edited), expected);
    }

    #[test]
    fn attributes_of_resources_and_scopes_are_written(
        (signal, bytes) in noisy_request(),
        writes in writes(),
    ) {
        let batch = admit(signal, bytes);
        let edited = batch
            .rewrite_resources(|_, resource| apply(&writes, resource.attributes_mut()))
            .rewrite_scopes(|_, scope| apply(&writes, scope.attributes_mut()));
        check_valid(&edited);
        let mut expected = Vec::new();
        let mut found = Vec::new();
        batch.for_each(|item| {
            for attributes in [item.resource.attributes(), item.scope.attributes()] {
                let mut pairs: Vec<KeyValue> = attributes
                    .raw()
                    .map(|pair| KeyValue::decode(pair).expect("valid"))
                    .collect();
                apply_to_prost(&writes, &mut pairs);
                expected.extend(pairs.iter().map(|pair| pair.encode_to_vec()));
            }
        });
        edited.for_each(|item| {
            for attributes in [item.resource.attributes(), item.scope.attributes()] {
                let pairs = attributes.raw().map(|pair| KeyValue::decode(pair).expect("valid"));
                found.extend(pairs.map(|pair| pair.encode_to_vec()));
            }
        });
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn unknown_fields_survive_rewriting(
        (signal, bytes) in request(),
        seed in any::<u64>(),
        text in "[a-z]{0,200}",
    ) {
        let batch = admit(signal, with_unknown_fields(signal, &bytes, seed));
        let edited = batch
            .rewrite(|_, record| record.attributes_mut().set("a new one", Value::Str(&text)))
            .rewrite_resources(|_, resource| {
                resource.attributes_mut().set("a new one", Value::Str(&text));
            })
            .rewrite_scopes(|_, scope| scope.set_version(&text));
        check_valid(&edited);
        prop_assert_eq!(count_unknown(&edited), count_unknown(&batch));
        prop_assert_eq!(edited.num_records(), batch.num_records());
    }

    #[test]
    fn fields_of_log_records_are_written(
        (_, bytes) in noisy_request(),
        text in "[a-z]{0,200}",
        number in any::<i32>(),
    ) {
        let limits = crate::data::DoorLimits::default();
        let Ok(admitted) = Batch::try_new(Signal::Logs, bytes.into(), Default::default(), &limits)
        else {
            return Ok(());
        };
        let batch = admitted.batch;
        let edited = batch.rewrite_logs(|_, record| {
            record.set_body(Value::Str("first"));
            record.set_body(Value::Str(&text));
            record.set_severity_number(number);
            record.set_severity_text(&text);
            record.set_time(Time::from_unix_nanos(5));
            record.set_observed_time(Time::from_unix_nanos(6));
            record.set_trace_id(None);
            record.set_event_name(&text);
            record.set_flags(7);
        });
        check_valid(&edited);
        let mut request = ExportLogsServiceRequest::decode(batch.merged_bytes()).expect("valid");
        let scopes = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
        for record in scopes.flat_map(|scope| &mut scope.log_records) {
            record.body = Some(AnyValue { value: Some(ProtoValue::StringValue(text.clone())) });
            record.severity_number = number;
            record.severity_text.clone_from(&text);
            record.time_unix_nano = 5;
            record.observed_time_unix_nano = 6;
            record.trace_id.clear();
            record.event_name.clone_from(&text);
            record.flags = 7;
        }
        prop_assert_eq!(normal_batch(&edited), request.encode_to_vec());
    }

    #[test]
    fn fields_of_spans_are_written((_, bytes) in noisy_request(), text in "[a-z]{0,200}") {
        let limits = crate::data::DoorLimits::default();
        let Ok(admitted) = Batch::try_new(Signal::Traces, bytes.into(), Default::default(), &limits)
        else {
            return Ok(());
        };
        let batch = admitted.batch;
        let edited = batch.rewrite_spans(|_, span| {
            span.set_name(&text);
            span.set_trace_state(&text);
            span.set_status_code(2);
            span.set_status_message(&text);
            span.set_end_time(Time::from_unix_nanos(9));
            let mut index = 0;
            span.edit_events(|event| {
                index += 1;
                event.attributes_mut().set("a", Value::Bool(true));
                index % 2 == 1
            });
            span.edit_links(|_| false);
        });
        check_valid(&edited);
        let mut request = ExportTraceServiceRequest::decode(batch.merged_bytes()).expect("valid");
        let scopes = request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans);
        for span in scopes.flat_map(|scope| &mut scope.spans) {
            span.name.clone_from(&text);
            span.trace_state.clone_from(&text);
            let status = span.status.get_or_insert_default();
            status.code = 2;
            status.message.clone_from(&text);
            span.end_time_unix_nano = 9;
            let mut index = 0;
            span.events.retain_mut(|event| {
                index += 1;
                let value = Some(AnyValue { value: Some(ProtoValue::BoolValue(true)) });
                match event.attributes.iter_mut().rfind(|pair| pair.key == "a") {
                    Some(pair) => pair.value = value,
                    None => event.attributes.push(KeyValue {
                        key: "a".to_owned(),
                        value,
                        ..KeyValue::default()
                    }),
                }
                index % 2 == 1
            });
            span.links.clear();
        }
        prop_assert_eq!(normal_batch(&edited), request.encode_to_vec());
    }

    #[test]
    fn pieces_of_a_split_hold_all_records_within_the_limits(
        (signal, bytes) in noisy_request(),
        max_records in 0..5_usize,
        max_bytes in prop_oneof![Just(0), 1..2000_usize],
    ) {
        let batch = admit(signal, bytes);
        let pieces = batch.split(max_records, max_bytes);
        let mut records = Vec::new();
        for piece in &pieces {
            check_valid(piece);
            prop_assert!(max_records == 0 || piece.num_records() <= max_records);
            prop_assert!(
                max_bytes == 0 || piece.size_bytes() <= max_bytes || piece.num_records() <= 1
            );
            records.extend(flatten(piece));
        }
        prop_assert_eq!(records, flatten(&batch));
        let unknown: usize = pieces.iter().map(count_unknown).sum();
        prop_assert!(batch.num_records() == 0 || unknown <= count_unknown(&batch) * pieces.len());
    }

    #[test]
    fn joined_batches_hold_the_records_of_all(
        (signal, bytes) in noisy_request(),
        mask in any::<u64>(),
    ) {
        let batch = admit(signal, bytes);
        let mut index = 0;
        let some = batch.retain(|_| {
            index += 1;
            is_kept(mask, index)
        });
        let joined = Batch::concat([batch.clone(), some.clone(), batch.clone()]).expect("one signal");
        check_valid(&joined);
        let mut expected = flatten(&batch);
        expected.extend(flatten(&some));
        expected.extend(flatten(&batch));
        prop_assert_eq!(flatten(&joined), expected);
        // Edits go through all chunks.
        let none = joined.retain(|_| false);
        prop_assert_eq!((none.num_records(), none.size_bytes()), (0, 0));
        let pieces = joined.split(3, 0);
        prop_assert_eq!(pieces.iter().flat_map(flatten).collect::<Vec<_>>(), flatten(&joined));
    }

    #[test]
    fn shards_hold_each_record_once((signal, bytes) in noisy_request(), num_shards in 1..4_usize) {
        let batch = admit(signal, bytes);
        let shard = |record: &[u8]| record.iter().map(|byte| usize::from(*byte)).sum::<usize>();
        let shards = batch.partition(num_shards, |item| shard(item.record.bytes()));
        prop_assert_eq!(shards.len(), num_shards);
        let mut num_records = 0;
        for (index, piece) in shards.iter().enumerate() {
            check_valid(piece);
            piece.for_each(|item| assert_eq!(shard(item.record.bytes()) % num_shards, index));
            num_records += piece.num_records();
        }
        prop_assert_eq!(num_records, batch.num_records());
    }

    #[test]
    fn groups_have_one_resource_each((signal, bytes) in noisy_request()) {
        let batch = admit(signal, bytes);
        let groups = Batch::concat([batch.clone(), batch.clone()]).expect("one").group_by_resource();
        let mut records = Vec::new();
        let mut seen = Vec::new();
        for group in &groups {
            check_valid(group);
            let mut resources = Vec::new();
            group.for_each(|item| resources.push(item.resource.bytes()));
            resources.dedup();
            prop_assert_eq!(resources.len(), 1);
            prop_assert!(!seen.contains(&resources[0].to_vec()));
            seen.push(resources[0].to_vec());
            records.extend(flatten(group));
        }
        let mut expected = flatten(&batch);
        expected.extend(flatten(&batch));
        expected.sort();
        records.sort();
        prop_assert_eq!(records, expected);
    }
}

proptest! {
    #[test]
    fn decoded_records_are_written_and_keep_unknown_fields(
        request in super::arbitrary::logs(),
        seed in any::<u64>(),
        text in "[a-z]{0,200}",
    ) {
        let bytes = with_unknown_fields(Signal::Logs, &request.encode_to_vec(), seed);
        let batch = admit(Signal::Logs, bytes);
        let change = |record: &mut opentelemetry_proto::tonic::logs::v1::LogRecord| {
            record.severity_text.clone_from(&text);
            record.severity_number = 3;
            for pair in &mut record.attributes {
                pair.value = Some(AnyValue { value: Some(ProtoValue::StringValue(text.clone())) });
            }
        };
        let edited = batch.rewrite_logs(|_, record| record.edit_decoded(change));
        check_valid(&edited);
        let mut request = request;
        let scopes = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
        scopes.flat_map(|scope| &mut scope.log_records).for_each(change);
        prop_assert_eq!(normal_batch(&edited), request.encode_to_vec());
        // Fields inside of values that are gone may go with them.
        let is_flat = batch.logs().items().all(|item| {
            let mut values = item.record.attributes().iter().map(|(_, value)| value);
            values.all(|value| !matches!(value, Value::Array(_) | Value::KvList(_)))
        });
        prop_assert!(!is_flat || count_unknown(&edited) == count_unknown(&batch));
    }

    #[test]
    fn decoded_spans_are_written_and_keep_unknown_fields(
        request in super::arbitrary::traces(),
        seed in any::<u64>(),
    ) {
        let bytes = with_unknown_fields(Signal::Traces, &request.encode_to_vec(), seed);
        let batch = admit(Signal::Traces, bytes);
        let change = |span: &mut opentelemetry_proto::tonic::trace::v1::Span| {
            span.name.push('x');
            span.events.push(opentelemetry_proto::tonic::trace::v1::span::Event::default());
            for link in &mut span.links {
                link.flags = 9;
            }
        };
        let edited = batch.rewrite_spans(|_, span| span.edit_decoded(change));
        check_valid(&edited);
        let mut request = request;
        let scopes = request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans);
        scopes.flat_map(|scope| &mut scope.spans).for_each(change);
        prop_assert_eq!(normal_batch(&edited), request.encode_to_vec());
        prop_assert_eq!(count_unknown(&edited), count_unknown(&batch));
    }

    #[test]
    fn points_and_metrics_are_written((_, bytes) in noisy_request(), text in "[a-z]{0,200}") {
        let limits = crate::data::DoorLimits::default();
        let Ok(admitted) = Batch::try_new(Signal::Metrics, bytes.into(), Default::default(), &limits)
        else {
            return Ok(());
        };
        let batch = admitted.batch;
        let edited = batch
            .rewrite_points(|_, point| {
                point.set_number(crate::data::NumberValue::Double(1.0));
                point.set_number(crate::data::NumberValue::Int(5));
                point.set_start_time(Time::from_unix_nanos(3));
            })
            .rewrite_metrics(|_, metric| {
                metric.set_name(&text);
                metric.set_temporality(crate::data::Temporality::Cumulative);
                metric.edit_decoded(|metric| metric.unit.push_str("By"));
            });
        check_valid(&edited);
        let mut request = ExportMetricsServiceRequest::decode(batch.merged_bytes()).expect("valid");
        let scopes = request.resource_metrics.iter_mut().flat_map(|group| &mut group.scope_metrics);
        for metric in scopes.flat_map(|scope| &mut scope.metrics) {
            metric.name.clone_from(&text);
            metric.unit.push_str("By");
            change_points(&mut metric.data);
        }
        prop_assert_eq!(normal_batch(&edited), request.encode_to_vec());
    }
}

/// Value 5 for numbers, start time 3, cumulative.
fn change_points(data: &mut Option<Data>) {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt;
    match data {
        None => {}
        Some(Data::Gauge(gauge)) => {
            for point in &mut gauge.data_points {
                point.value = Some(AsInt(5));
                point.start_time_unix_nano = 3;
            }
        }
        Some(Data::Sum(sum)) => {
            sum.aggregation_temporality = 2;
            for point in &mut sum.data_points {
                point.value = Some(AsInt(5));
                point.start_time_unix_nano = 3;
            }
        }
        Some(Data::Histogram(histogram)) => {
            histogram.aggregation_temporality = 2;
            histogram.data_points.iter_mut().for_each(|point| point.start_time_unix_nano = 3);
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            histogram.aggregation_temporality = 2;
            histogram.data_points.iter_mut().for_each(|point| point.start_time_unix_nano = 3);
        }
        Some(Data::Summary(summary)) => {
            summary.data_points.iter_mut().for_each(|point| point.start_time_unix_nano = 3);
        }
    }
}
