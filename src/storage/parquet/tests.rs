//! OTLP to Parquet and back is the identity; files roll, survive failures and are read by others.

mod archive;
mod docs;
pub(super) mod panics;
mod partitions;
mod round_trip;

use std::sync::Arc;

use bytes::Bytes;

use super::envelope::walk_rows;
use super::file::FileWriter;
use super::footer::{CommitId, Footer};
use super::{FileReader, Format, RowGroup};
use crate::data::{Batch, Context, DoorLimits, Signal};

fn format(promoted: &[&str]) -> Format {
    Format {
        row_group: RowGroup { max_rows: 1 << 17, max_bytes: 64 << 20 },
        zstd_level: 1,
        promoted: promoted.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn admit(signal: Signal, bytes: impl Into<Bytes>) -> Batch {
    let context = Arc::new(Context::default());
    let admitted = Batch::try_new(signal, bytes.into(), context, &DoorLimits::default());
    admitted.expect("the request is valid").batch
}

/// A file of these batches.
fn file(signal: Signal, format: &Format, batches: &[Batch]) -> Bytes {
    let mut writer = FileWriter::try_new(signal, format, 1).unwrap();
    let mut bytes = Vec::new();
    let mut number = 0;
    for batch in batches {
        let added = walk_rows(batch, &mut number, |envelope, number, record| {
            writer.push(envelope, number, &record)
        });
        added.unwrap();
        bytes.extend(writer.take().unwrap());
    }
    let commit = CommitId { id: 7, num_files: 1 };
    writer.end_row_group().unwrap();
    let footer = Footer { commit, parts: Default::default(), times: writer.times() };
    bytes.extend(writer.finish(&footer).unwrap());
    Bytes::from(bytes)
}

fn read(file: Bytes, batch_rows: usize) -> Vec<Batch> {
    FileReader::try_new(file, batch_rows).unwrap().collect::<Result<_, _>>().unwrap()
}
