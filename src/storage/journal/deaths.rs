//! How often a process died while it executed an entry: which entries are suspects, and which one kills.
//!
//! An entry that was being executed at three deaths is a suspect: at the next start it runs alone, and a
//! mark on disk says so before. When the process dies of it then, too, it is the one, and does not run
//! any more. What is known of an entry goes when the entry is closed, or did not kill alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::executing::Noted;
use crate::storage::files;

/// The file's name.
const NAME: &str = "deaths.json";
const MAGIC: &str = "catchment deaths";
const VERSION: u32 = 1;

/// An entry that was being executed at so many deaths is run alone at the next start.
pub const MAX_DEATHS: u32 = 3;

/// What is known of the entries of a log.
#[derive(Debug)]
pub struct Deaths {
    folder: PathBuf,
    known: Known,
    is_on_disk: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Known {
    magic: String,
    version: u32,
    log: String,
    /// By entry, at how many deaths it was being executed.
    deaths: BTreeMap<u64, u32>,
    /// The entry that runs alone.
    alone: Option<u64>,
    /// Entries that do not run any more, and the component that they kill.
    killers: BTreeMap<u64, String>,
}

impl Deaths {
    /// Reads what is known of the entries of a log; nothing is known where the file is another log's.
    ///
    /// # Errors
    ///
    /// Fails when the file is there and cannot be read.
    pub fn read(folder: &Path, log: u128) -> io::Result<Self> {
        let read = match fs::read(folder.join(NAME)) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_on_disk = read.is_some();
        let log = format!("{log:032x}");
        let known: Option<Known> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let is_ours =
            |known: &Known| known.magic == MAGIC && known.version == VERSION && known.log == log;
        let known = known.filter(is_ours).unwrap_or_else(|| Known {
            magic: MAGIC.to_owned(),
            version: VERSION,
            log: log.clone(),
            deaths: BTreeMap::new(),
            alone: None,
            killers: BTreeMap::new(),
        });
        Ok(Self { folder: folder.to_owned(), known, is_on_disk })
    }

    /// Counts what was being executed when the process died; of entries that are open only.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub fn count(&mut self, noted: &[Noted], open: &BTreeSet<u64>) -> io::Result<()> {
        let known = &mut self.known;
        let mut executed = BTreeMap::new();
        for Noted { what, entries } in noted {
            for number in entries.iter().filter(|number| open.contains(number)) {
                executed.insert(*number, what);
            }
        }
        for (number, what) in executed {
            *known.deaths.entry(number).or_default() += 1;
            if known.alone == Some(number) {
                known.killers.insert(number, what.clone());
            }
        }
        known.alone = None;
        known.killers.retain(|number, _| open.contains(number));
        known
            .deaths
            .retain(|number, _| open.contains(number) && !known.killers.contains_key(number));
        self.write()
    }

    /// Entries that do not run any more, and the components that they kill.
    pub fn killers(&self) -> impl Iterator<Item = (u64, &str)> {
        self.known.killers.iter().map(|(number, what)| (*number, what.as_str()))
    }

    /// Entries that run alone, oldest first.
    pub fn suspects(&self) -> impl Iterator<Item = u64> {
        let deaths = self.known.deaths.iter();
        deaths.filter(|(_, deaths)| **deaths >= MAX_DEATHS).map(|(number, _)| *number)
    }

    /// An entry is about to run alone; on disk when this comes back.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written; nothing is known of it then.
    pub fn begin_alone(&mut self, number: u64) -> io::Result<()> {
        self.known.alone = Some(number);
        self.write()
    }

    /// The entry that ran alone did not kill so far, but something is to be done with it still: it
    /// remains a suspect.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub fn leave_alone(&mut self) -> io::Result<()> {
        self.known.alone = None;
        self.write()
    }

    /// The entry that ran alone did not kill.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub fn end_alone(&mut self) -> io::Result<()> {
        if let Some(number) = self.known.alone.take() {
            self.known.deaths.remove(&number);
        }
        self.write()
    }

    /// Writes what is known; there is no file of nothing.
    fn write(&mut self) -> io::Result<()> {
        let path = self.folder.join(NAME);
        let Known { deaths, alone, killers, .. } = &self.known;
        if deaths.is_empty() && alone.is_none() && killers.is_empty() {
            if self.is_on_disk {
                files::remove(&path)?;
                self.is_on_disk = false;
            }
            return Ok(());
        }
        let unfinished = path.with_extension("unfinished");
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec(&self.known)?)?;
        file.sync_all()?;
        files::rename(&unfinished, &path)?;
        self.is_on_disk = true;
        files::sync_folder(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(entries: &[u64]) -> Vec<Noted> {
        vec![Noted { what: "transform".to_owned(), entries: entries.to_vec() }]
    }

    /// A process dies while it executes these; what the next one knows.
    fn die(folder: &Path, entries: &[u64]) -> Deaths {
        let mut deaths = Deaths::read(folder, 7).unwrap();
        deaths.count(&noted(entries), &(1..=9).collect()).unwrap();
        deaths
    }

    fn suspects(deaths: &Deaths) -> Vec<u64> {
        deaths.suspects().collect()
    }

    #[test]
    fn entry_that_kills_alone_after_three_deaths_does_not_run_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(suspects(&die(folder, &[4, 5])), [0; 0]);
        // One that was not being executed at a death in between is still one of them.
        die(folder, &[4]);
        assert_eq!(suspects(&die(folder, &[4, 5])), [4]);
        let mut deaths = die(folder, &[5]);
        assert_eq!(suspects(&deaths), [4, 5]);
        deaths.begin_alone(4).unwrap();
        deaths.leave_alone().unwrap();
        assert_eq!(suspects(&deaths), [4, 5]);
        deaths.begin_alone(4).unwrap();
        deaths.end_alone().unwrap();
        assert_eq!(suspects(&deaths), [5]);
        deaths.begin_alone(5).unwrap();
        // Killed from outside while 5 waits: nothing is known by that.
        let mut deaths = die(folder, &[]);
        assert_eq!((suspects(&deaths), deaths.killers().count()), (vec![5], 0));
        deaths.begin_alone(5).unwrap();
        let deaths = die(folder, &[5]);
        assert_eq!(deaths.killers().collect::<Vec<_>>(), [(5, "transform")]);
        assert_eq!(suspects(&deaths), [0; 0]);
        // As long as it is open.
        assert_eq!(die(folder, &[]).killers().count(), 1);
        Deaths::read(folder, 7).unwrap().count(&[], &BTreeSet::new()).unwrap();
        assert!(!folder.join(NAME).exists());
    }

    #[test]
    fn nothing_is_written_of_nothing_and_nothing_read_of_another_log() {
        let folder = tempfile::tempdir().unwrap();
        die(folder.path(), &[10]);
        assert!(!folder.path().join(NAME).exists());
        (0..3).for_each(|_| drop(die(folder.path(), &[4])));
        assert_eq!(suspects(&Deaths::read(folder.path(), 7).unwrap()), [4]);
        assert_eq!(suspects(&Deaths::read(folder.path(), 8).unwrap()), [0; 0]);
        fs::write(folder.path().join(NAME), "{").unwrap();
        assert_eq!(suspects(&Deaths::read(folder.path(), 7).unwrap()), [0; 0]);
    }
}
