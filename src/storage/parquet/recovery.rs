//! What is done when the encoder panics or fails: the rest of the records goes on.
//!
//! A record that cannot be made a row is set aside, and those before and behind it are written.
//! When the Parquet library breaks, it breaks the row group in the making: its rows are lost, those
//! of the row groups before it are not, and of the rows that it broke on those are set aside that it
//! does not take alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use parquet::errors::ParquetError;
use tracing::error;

use super::archive::Archive;
use super::envelope::walk_rows;
use super::file::{FileWriter, State};
use super::read;
use crate::data::Batch;

/// Does what may panic; answers why it did not end well.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it panicked".to_owned()),
    }
}

impl Archive {
    /// Adds the records of a batch to an open file.
    pub(super) fn fill(&mut self, index: usize, batch: &Batch) {
        let mut num_done = 0;
        while let Some(open) = self.open.get_mut(index) {
            let num_envelopes = &mut self.num_envelopes;
            let mut num_seen = 0;
            let filled = guarded(|| {
                walk_rows(batch, num_envelopes, |envelope, number, record| {
                    num_seen += 1;
                    if num_seen <= num_done {
                        return Ok(());
                    }
                    open.file.push(envelope, number, &record)
                })
            });
            let Err(why) = filled else { return };
            if open.file.state() == State::Sound {
                self.lost.num_records += 1;
                self.lost.set_aside.push(single(batch, num_seen));
                self.end_rows(index);
            } else {
                self.recover(index, &why);
            }
            if self.open.get(index).is_none_or(|open| open.file.is_broken()) {
                // What was added before goes with the file.
                self.lost.num_records += batch.num_records().saturating_sub(num_seen) as u64;
                return;
            }
            num_done = num_seen;
        }
    }

    /// Writes the complete rows of an open file, behind which there may be a half one.
    fn end_rows(&mut self, index: usize) {
        let Some(open) = self.open.get_mut(index) else { return };
        if let Err(why) = guarded(|| open.file.write_rows()) {
            self.recover(index, &why);
        }
    }

    /// Ends the row group of an open file.
    pub(super) fn end_row_group(&mut self, index: usize) {
        let Some(open) = self.open.get_mut(index) else { return };
        if let Err(why) = guarded(|| open.file.end_row_group()) {
            self.recover(index, &why);
            // What is left was tried before.
            if let Some(open) = self.open.get_mut(index)
                && !open.file.is_broken()
                && guarded(|| open.file.end_row_group()).is_err()
            {
                self.lost.num_records += open.file.give_up_group();
            }
        }
    }

    /// Begins a new row group in place of one that broke.
    fn recover(&mut self, index: usize, why: &str) {
        let Some(open) = self.open.get_mut(index) else { return };
        if open.file.is_broken() {
            return;
        }
        let rows = open.file.take_broken_rows();
        let num_lost = open.file.give_up_group();
        error!(why, num_lost, "a row group broke in the making; going on with a new one");
        self.lost.num_records += num_lost;
        if let Some(rows) = rows {
            self.sift(index, rows);
        }
    }

    /// Writes those of `rows` to an open file that can be written alone.
    fn sift(&mut self, index: usize, rows: RecordBatch) {
        let signal = self.settings.signal;
        let mut waiting = vec![rows];
        while let Some(rows) = waiting.pop() {
            let Some(open) = self.open.get_mut(index) else { return };
            let num_rows = rows.num_rows();
            let tried = guarded(|| {
                let mut alone = FileWriter::try_new(signal, &self.settings.format, 1)?;
                alone.write(rows.clone())?;
                alone.end_row_group()
            });
            if tried.is_ok() {
                if guarded(|| open.file.write(rows)).is_ok() {
                    continue;
                }
                if open.file.is_broken() {
                    // What was written before goes with the file.
                    let num_waiting: usize = waiting.iter().map(RecordBatch::num_rows).sum();
                    self.lost.num_records += num_waiting as u64;
                    return;
                }
                let rest = open.file.take_broken_rows().map_or(0, |rows| rows.num_rows());
                self.lost.num_records += rest as u64 + open.file.give_up_group();
            } else if num_rows > 1 {
                let half = num_rows / 2;
                waiting.push(rows.slice(half, num_rows - half));
                waiting.push(rows.slice(0, half));
            } else {
                self.lost.num_records += num_rows as u64;
                let promoted = &self.settings.format.promoted;
                let read =
                    catch_unwind(AssertUnwindSafe(|| read::unwritten(signal, promoted, &rows)));
                self.lost.set_aside.extend(read.ok().and_then(Result::ok));
            }
        }
    }
}

/// The record of a batch that has this number, counted from 1.
fn single(batch: &Batch, number: usize) -> Batch {
    let mut num_seen = 0;
    batch.retain(|_| {
        num_seen += 1;
        num_seen == number
    })
}
