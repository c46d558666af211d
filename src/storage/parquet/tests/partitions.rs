//! Files by partition, and the memory that many of them take.

use std::collections::BTreeMap;
use std::sync::Arc;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use rand::RngCore as _;

use super::archive::{Handle, START, settings};
use super::read;
use crate::data::{Batch, Context, LogsBuilder, Value, encode_resource};
use crate::storage::parquet::{Archive, Partitioning};

const FOLDER: &str = "logs/date=2026-11-24/hour=15/";

fn archive(store: &Handle, by: &[&str], max_open: usize) -> Archive {
    let mut settings = settings();
    settings.partitioning =
        Partitioning { by: by.iter().map(|name| (*name).to_owned()).collect(), max_open };
    settings.format.promoted = vec!["http.route".to_owned()];
    Archive::new(settings, Arc::new(store.clone()))
}

/// A record for each service and route, in turn.
fn batch(tenant: Option<&str>, records: &[(&str, &str)]) -> Batch {
    let mut builder = LogsBuilder::new();
    for (number, (service, route)) in records.iter().enumerate() {
        let attributes = [("service.name", Value::Str(service))];
        builder.resource(&encode_resource(attributes), "");
        builder.record(|record| {
            record.body(Value::Int(i64::try_from(number).unwrap()));
            if !route.is_empty() {
                record.attribute("http.route", Value::Str(route));
            }
        });
    }
    let tenant = tenant.map(Into::into);
    builder.finish(Arc::new(Context { arrived: START, tenant, ..Context::default() }))
}

/// The folders below the hour, with the bodies in the files there.
fn stored(store: &Handle) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (name, file) in store.files() {
        let (folder, _) = name.strip_prefix(FOLDER).unwrap().rsplit_once('/').unwrap();
        let bodies = all.entry(folder.to_owned()).or_default();
        for batch in read(file, 100) {
            bodies.extend(batch.logs().items().map(|item| item.record.body().as_int().unwrap()));
        }
    }
    all
}

fn expected<'a>(
    folders: impl IntoIterator<Item = (&'a str, &'a [i64])>,
) -> BTreeMap<String, Vec<i64>> {
    folders.into_iter().map(|(name, bodies)| (name.to_owned(), bodies.to_vec())).collect()
}

#[test]
fn records_go_to_the_folders_of_their_tenant_service_and_promoted_attribute() {
    let store = Handle::default();
    let mut archive = archive(&store, &["tenant", "service.name", "http.route"], 64);
    archive
        .add(&batch(Some("a/../b"), &[("x", "/r"), ("y", ""), ("x", "/r"), ("", "/q")]), START)
        .unwrap();
    archive.add(&batch(None, &[("x", "/r")]), START).unwrap();
    assert!(!archive.is_commit_due());
    archive.commit(START).unwrap();
    let tenant = "partition_tenant=a%2F..%2Fb/partition_service_name";
    let null = "__HIVE_DEFAULT_PARTITION__";
    assert_eq!(
        stored(&store),
        expected([
            (&*format!("{tenant}=x/partition_http_route=%2Fr"), &[0, 2][..]),
            (&*format!("{tenant}=y/partition_http_route={null}"), &[1]),
            (&*format!("{tenant}={null}/partition_http_route=%2Fq"), &[3]),
            (
                &*format!(
                    "partition_tenant={null}/partition_service_name=x/partition_http_route=%2Fr"
                ),
                &[0]
            ),
        ])
    );
}

#[test]
fn partitions_that_are_too_many_share_a_file() {
    let store = Handle::default();
    let mut archive = archive(&store, &["service.name"], 2);
    archive
        .add(&batch(None, &[("a", ""), ("b", ""), ("c", ""), ("d", ""), ("a", "")]), START)
        .unwrap();
    archive.add(&batch(None, &[("d", ""), ("b", "")]), START).unwrap();
    archive.commit(START).unwrap();
    assert_eq!(
        stored(&store),
        expected([
            ("partition_service_name=a", &[0, 4][..]),
            ("partition_service_name=b", &[1, 1]),
            ("partition_service_name=__other__", &[2, 3, 0]),
        ])
    );
    // The next commit begins anew.
    archive.add(&batch(None, &[("d", "")]), START).unwrap();
    archive.commit(START).unwrap();
    assert_eq!(stored(&store)["partition_service_name=d"], [0]);
}

#[test]
fn retention_finds_files_of_partitions() {
    let store = Handle::default();
    let mut archive = archive(&store, &["tenant"], 2);
    archive.settings.retention.max_bytes = Some(1);
    archive.add(&batch(Some("a"), &[("x", "")]), START).unwrap();
    archive.commit(START).unwrap();
    assert!(store.files().is_empty());
}

/// Records that do not get smaller.
fn noise(service: usize, num_records: usize, body_len: usize) -> Batch {
    let mut builder = LogsBuilder::new();
    let service = service.to_string();
    builder.resource(&encode_resource([("service.name", Value::Str(&service))]), "");
    let mut random = rand::rng();
    let mut body = vec![0; body_len];
    for _ in 0..num_records {
        random.fill_bytes(&mut body);
        builder.record(|record| record.body(Value::Bytes(&body)));
    }
    builder.finish(Arc::new(Context { arrived: START, ..Context::default() }))
}

#[test]
fn row_groups_of_all_files_together_stay_within_their_memory() {
    let store = Handle::default();
    let mut archive = archive(&store, &["service.name"], 8);
    archive.settings.format.row_group =
        crate::storage::parquet::RowGroup { max_rows: 1 << 17, max_bytes: 8 << 20 };
    let mut num_records = 0;
    let mut most = 0;
    for round in 0..60 {
        let batch = noise(round % 12, 100, 4_000);
        num_records += batch.num_records();
        archive.add(&batch, START).unwrap();
        most = most.max(archive.memory_bytes());
    }
    assert!(most < 9 << 20, "{most}");
    archive.commit(START).unwrap();
    let stored: usize = store
        .files()
        .into_values()
        .flat_map(|file| read(file, 100))
        .map(|batch| batch.num_records())
        .sum();
    assert_eq!(stored, num_records);
    assert_eq!(store.files().len(), 9);
}

#[test]
fn huge_records_end_row_groups_before_they_take_too_much_memory() {
    let store = Handle::default();
    let mut settings = settings();
    settings.format.row_group =
        crate::storage::parquet::RowGroup { max_rows: 1 << 17, max_bytes: 8 << 20 };
    let mut archive = Archive::new(settings, Arc::new(store.clone()));
    let mut most = 0;
    for _ in 0..16 {
        archive.add(&noise(0, 1, 3 << 20), START).unwrap();
        most = most.max(archive.memory_bytes());
    }
    // A row group, what waits to be encoded, which is at most 4 MiB and a record, and its pages.
    assert!(most < 24 << 20, "{most}");
    archive.commit(START).unwrap();
    let files = store.files();
    let file = files.values().next().unwrap();
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    let num_groups = parquet::file::reader::FileReader::metadata(&reader).num_row_groups();
    assert!(num_groups >= 4, "{num_groups}");
}

#[test]
fn bloom_filters_of_many_partitions_leave_room_for_rows() {
    const NUM_SERVICES: usize = 32;
    let store = Handle::default();
    let mut archive = archive(&store, &["service.name"], NUM_SERVICES);
    archive.settings.format.row_group =
        crate::storage::parquet::RowGroup { max_rows: 1 << 17, max_bytes: 8 << 20 };
    // Rows go to the row group, which makes its filter, by 1,024.
    for number in 0..2 * NUM_SERVICES {
        archive.add(&noise(number % NUM_SERVICES, 1100, 1), START).unwrap();
    }
    archive.commit(START).unwrap();
    let files = store.files();
    assert_eq!(files.len(), NUM_SERVICES);
    for (name, file) in files {
        let reader = SerializedFileReader::new(file).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 1, "{name}");
    }
}
