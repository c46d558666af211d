//! Where complete files are kept: a folder here, a bucket elsewhere.
//!
//! Calls block; whoever calls them is on a thread that may.

mod local;

use std::fmt::Debug;
use std::io;

use bytes::Bytes;

pub use local::LocalStore;

use crate::data::Time;

/// Why an object could not be written, listed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// It cannot be done now.
    #[error("cannot {what} `{name}`")]
    Failed {
        /// What was being done.
        what: &'static str,
        /// The object or folder, as people know it.
        name: String,
        /// What failed.
        source: io::Error,
    },
    /// Bytes that were written before are not there any more: the object can never be finished.
    #[error("the disk lost bytes of `{name}`: a sync had failed before")]
    Lost {
        /// The object, as people know it.
        name: String,
        /// What failed, if bytes could not be read; else they are others.
        source: Option<io::Error>,
    },
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name, with `/` between folders.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was written.
    pub modified: Time,
}

/// Keeps objects by name. An object is there as a whole or not at all, and never changes.
pub trait ObjectStore: Debug + Send + Sync {
    /// Makes ready, and removes what dead processes left half-written.
    ///
    /// # Errors
    ///
    /// Fails when nothing can be kept here.
    fn open(&self) -> Result<(), ObjectError>;

    /// Begins an object that is written bit by bit; it is not there until it is finished.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be begun; nothing is left of it then.
    fn create(&self, name: &str) -> Result<Box<dyn Upload>, ObjectError>;

    /// The objects in a folder and the folders below, in no order; none if it is not there.
    ///
    /// # Errors
    ///
    /// Fails when a folder cannot be read.
    fn list(&self, folder: &str) -> Result<Vec<Object>, ObjectError>;

    /// The last `num_bytes` of an object, which has as many.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be read.
    fn read_end(&self, name: &str, num_bytes: u64) -> Result<Bytes, ObjectError>;

    /// Deletes an object; one that is not there is deleted.
    ///
    /// # Errors
    ///
    /// Fails when it is still there.
    fn delete(&self, name: &str) -> Result<(), ObjectError>;
}

/// An object that is being written. Dropped before it is finished, nothing is left of it.
pub trait Upload: Debug + Send {
    /// Appends `bytes`. After an error none of them count, and the same call is made again.
    ///
    /// # Errors
    ///
    /// Fails when they cannot be written now.
    fn append(&mut self, bytes: &[u8]) -> Result<(), ObjectError>;

    /// Makes the object be there, durably. After an error that is no loss it is called again.
    ///
    /// # Errors
    ///
    /// Fails when that cannot be done now.
    fn finish(&mut self) -> Result<(), ObjectError>;
}
