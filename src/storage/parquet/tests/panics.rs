//! What is left when the encoder panics.

use std::cell::RefCell;

use arrow::array::{Array as _, AsArray as _, RecordBatch};

use super::archive::{Handle, START, archive};
use super::read;
use crate::data::{Batch, LogsBuilder, Value, encode_resource};
use crate::storage::parquet::Archive;
use crate::storage::parquet::envelope::Record;

/// What makes the encoder panic: bodies, in our code and in the library, and the end of the row
/// group behind so many rows.
#[derive(Default)]
struct Trips {
    on_records: Vec<Vec<u8>>,
    on_rows: Vec<Vec<u8>>,
    on_end: Option<u64>,
}

thread_local! {
    static TRIPS: RefCell<Trips> = RefCell::default();
}

/// Panics if it is time for it: a record that is made a row.
pub(crate) fn trip_on_record(record: &Record<'_, '_>) {
    let (Record::Log(record) | Record::Span(record)) = record else { return };
    TRIPS.with_borrow(|Trips { on_records: needles, .. }| {
        let has = |needle: &Vec<u8>| record.windows(needle.len()).any(|part| part == needle);
        assert!(!needles.iter().any(has), "a record to panic on");
    });
}

/// Panics if it is time for it: rows that are encoded.
pub(crate) fn trip_on_rows(rows: &RecordBatch) {
    TRIPS.with_borrow(|Trips { on_rows: needles, .. }| {
        let Some(bodies) = rows.column_by_name("body") else { return };
        let bodies = bodies.as_binary::<i32>();
        let is_bad =
            |row: usize| bodies.is_valid(row) && needles.iter().any(|n| n == bodies.value(row));
        assert!(!(0..rows.num_rows()).any(is_bad), "rows to panic on");
    });
}

/// Panics if it is time for it: a row group that goes into the file.
pub(crate) fn trip_on_end(ended_rows: u64) {
    let is_time = TRIPS.with_borrow(|trips| trips.on_end == Some(ended_rows));
    assert!(!is_time, "a row group to panic on");
}

fn trip(on_records: &[&str], on_rows: &[&str]) {
    let bytes =
        |needles: &[&str]| needles.iter().map(|needle| needle.as_bytes().to_vec()).collect();
    TRIPS.set(Trips { on_records: bytes(on_records), on_rows: bytes(on_rows), on_end: None });
}

fn batch(bodies: std::ops::Range<usize>) -> Batch {
    let mut builder = LogsBuilder::new();
    for body in bodies {
        let service = service(body);
        let resource = encode_resource([("service.name", Value::Str(&service))]);
        builder.resource(&resource, "");
        builder.record(|record| {
            record.body(Value::Str(&name(body)));
            record.attribute("n", Value::Int(1));
        });
    }
    builder.finish(Default::default())
}

/// Ten records each have one.
fn service(body: usize) -> String {
    format!("service {}", body / 10)
}

fn name(body: usize) -> String {
    format!("body {body:05}")
}

/// Each in the resource that it belongs to.
fn bodies(batch: &Batch) -> Vec<String> {
    let logs = batch.logs();
    let bodies = logs.items().map(|item| {
        let body = item.record.body().to_text().into_owned();
        let number = body.trim_start_matches("body ").parse().unwrap();
        assert_eq!(item.resource.service_name(), Some(&*service(number)), "{body}");
        body
    });
    bodies.collect()
}

/// The bodies in a store, sorted.
fn stored(store: &Handle) -> Vec<String> {
    let files = store.files();
    let batches = files.values().flat_map(|file| read(file.clone(), 100));
    let mut all: Vec<String> = batches.flat_map(|batch| bodies(&batch)).collect();
    all.sort();
    all
}

/// Takes out what was lost: how many, and the bodies of what was set aside.
fn lost(archive: &mut Archive) -> (u64, Vec<String>) {
    let lost = archive.take_lost();
    (lost.num_records, lost.set_aside.iter().flat_map(bodies).collect())
}

#[test]
fn record_that_cannot_be_made_a_row_is_set_aside_and_the_others_are_stored() {
    let store = Handle::default();
    let mut archive = archive(&store);
    trip(&["body 00003", "body 00009", "body 00017"], &[]);
    archive.add(&batch(0..10), START).unwrap();
    archive.add(&batch(10..20), START).unwrap();
    let bad = [3, 9, 17];
    assert_eq!(lost(&mut archive), (3, bad.map(name).to_vec()));
    archive.commit(START).unwrap();
    let good: Vec<String> = (0..20).filter(|body| !bad.contains(body)).map(name).collect();
    assert_eq!(stored(&store), good);
    assert_eq!(store.files().len(), 1);
    // It goes on.
    trip(&[], &[]);
    archive.add(&batch(20..30), START).unwrap();
    archive.commit(START).unwrap();
    assert_eq!(stored(&store).len(), 27);
    assert_eq!(lost(&mut archive), (0, vec![]));
}

#[test]
fn half_a_row_of_a_bad_record_does_not_shift_the_rows_behind_it() {
    let store = Handle::default();
    let mut archive = archive(&store);
    // Two in a row, the first of all, and the first behind rows that were written.
    let bad = [3, 4, 20, 1045];
    trip(&bad.map(name).each_ref().map(String::as_str), &[]);
    archive.add(&batch(0..20), START).unwrap();
    archive.commit(START).unwrap();
    archive.add(&batch(20..40), START).unwrap();
    archive.add(&batch(40..1080), START).unwrap();
    assert_eq!(lost(&mut archive), (4, bad.map(name).to_vec()));
    archive.commit(START).unwrap();
    let good: Vec<String> = (0..1080).filter(|body| !bad.contains(body)).map(name).collect();
    assert_eq!(stored(&store), good);
    assert_eq!(lost(&mut archive), (0, vec![]));
}

#[test]
fn row_group_that_breaks_costs_its_rows_and_nothing_else() {
    let store = Handle::default();
    // Row groups are of 10 rows; 1,024 go to the encoder at once, so that 4 are in a row group then.
    let mut archive = archive(&store);
    trip(&[], &["body 01026"]);
    archive.add(&batch(0..1024), START).unwrap();
    archive.add(&batch(1024..1038), START).unwrap();
    assert_eq!(lost(&mut archive), (0, vec![]));
    archive.commit(START).unwrap();
    assert_eq!(lost(&mut archive), (5, vec![name(1026)]));
    let is_good = |body: &usize| !(1020..1024).contains(body) && *body != 1026;
    let good: Vec<String> = (0..1038).filter(is_good).map(name).collect();
    assert_eq!(stored(&store), good);
    trip(&[], &[]);
    archive.add(&batch(5000..5010), START).unwrap();
    archive.commit(START).unwrap();
    assert_eq!(stored(&store).len(), 1043);
    assert!(archive.is_empty());
    assert_eq!(archive.memory_bytes(), 0);
}

#[test]
fn file_that_breaks_is_lost_as_a_whole_and_counted() {
    // It breaks while rows are written, and while they are sifted, with others waiting.
    for bad in [&[][..], &["body 00700"][..]] {
        let store = Handle::default();
        let mut archive = archive(&store);
        trip(&[], bad);
        TRIPS.with_borrow_mut(|trips| trips.on_end = Some(720));
        archive.add(&batch(0..1100), START).unwrap();
        assert_eq!(lost(&mut archive).0, 1100, "{bad:?}");
        assert!(archive.is_empty());
        trip(&[], &[]);
        archive.add(&batch(2000..2010), START).unwrap();
        archive.commit(START).unwrap();
        assert_eq!(stored(&store), (2000..2010).map(name).collect::<Vec<_>>());
        assert_eq!(lost(&mut archive), (0, vec![]));
    }
}
