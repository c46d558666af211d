//! The segment that is written to.

use std::path::PathBuf;

use super::error::AppendError;
use super::format::{FramePlace, HEADER_BYTES, Kind, put_frame};
use super::log::Sync;
use crate::storage::disk::DiskFile;

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Head {
    log: u128,
    pub(super) segment: u64,
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Where the next frame goes.
    pub(super) written: u64,
    /// Everything before is durable.
    pub(super) durable: u64,
    /// Whether something failed, so that behind `durable` nothing can be relied on.
    is_dirty: bool,
}

impl Head {
    /// A segment with its header, which is durable.
    pub(super) const fn new(
        (log, segment): (u128, u64),
        file: Box<dyn DiskFile>,
        path: PathBuf,
    ) -> Self {
        let written = HEADER_BYTES as u64;
        Self { log, segment, file, path, written, durable: written, is_dirty: false }
    }

    /// Appends frames. After an error none of them count.
    pub(super) fn write(&mut self, frames: &[u8], sync: Sync) -> Result<(), AppendError> {
        self.repair()?;
        self.is_dirty = true;
        let written = self.file.write_at(frames, self.written);
        written.map_err(AppendError::file("write to", &self.path))?;
        match sync {
            Sync::Always => {
                self.file.sync().map_err(AppendError::file("sync", &self.path))?;
                self.written += frames.len() as u64;
                self.durable = self.written;
            }
            Sync::Later => self.written += frames.len() as u64,
        }
        self.is_dirty = false;
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) -> Result<(), AppendError> {
        self.repair()?;
        if self.durable < self.written {
            self.is_dirty = true;
            self.file.sync().map_err(AppendError::file("sync", &self.path))?;
            self.durable = self.written;
            self.is_dirty = false;
        }
        Ok(())
    }

    /// Appends a frame to `buffer`, which will be written next.
    pub(super) fn put(&self, buffer: &mut Vec<u8>, kind: Kind, payload: impl FnOnce(&mut Vec<u8>)) {
        let offset = self.written + buffer.len() as u64;
        let place = FramePlace { log: self.log, segment: self.segment, offset };
        put_frame(buffer, place, kind, self.durable, payload);
    }

    /// Gives back the room behind what was written, which is durable.
    pub(super) fn cut(&mut self) -> Result<(), AppendError> {
        let cut = self.file.set_len(self.written).and_then(|()| self.file.sync());
        cut.map_err(AppendError::file("cut", &self.path))
    }

    /// After a failure: writes again what was promised but is not known to be durable, and cuts off
    /// what was not promised, so that a crash cannot bring it back.
    fn repair(&mut self) -> Result<(), AppendError> {
        if !self.is_dirty {
            return Ok(());
        }
        let promised = usize::try_from(self.written - self.durable).unwrap_or(usize::MAX);
        let mut bytes = vec![0; promised];
        let repaired = self
            .file
            .read_at(&mut bytes, self.durable)
            .and_then(|()| self.file.write_at(&bytes, self.durable))
            .and_then(|()| self.file.sync())
            .and_then(|()| self.file.set_len(self.written))
            .and_then(|()| self.file.sync());
        repaired.map_err(AppendError::file("repair", &self.path))?;
        self.durable = self.written;
        self.is_dirty = false;
        Ok(())
    }
}
