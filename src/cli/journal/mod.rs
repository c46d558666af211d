//! `catchment journal`: what is in the journal of a stopped agent.

mod show;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::{Args, Subcommand};

use crate::codec::otlp_json;
use crate::data::{Batch, Context, DoorLimits};
use crate::extensions::journal::plain_body;
use crate::storage::disk::ReadOnlyDisk;
use crate::storage::journal::{AtRest, EntryAtRest, Lock};

const EXAMPLES: &str = "\
Examples:
  catchment journal ls catchment-data/journal
  catchment journal verify catchment-data/journal
  catchment journal cat catchment-data/journal --entry 4294967296 | jq .
  catchment journal export catchment-data/journal --to rescued
  curl -H 'Content-Type: application/x-protobuf' --data-binary @rescued/1.logs.otlp localhost:4318/v1/logs

An entry is one request. It is open, and runs again at the next start, until all exporters have it.";

/// Shows what is in the journal of a stopped agent, checks it, or takes requests out of it
///
/// Nothing in its folder is changed. While an agent has it open, this is refused.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Journal {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Lists entries: number, arrival, signal, bytes, receiver, state
    Ls {
        #[command(flatten)]
        selection: Selection,
        /// Print each entry as a line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Reads every byte, and fails when something that was promised cannot be read
    Verify {
        /// The journal's folder
        folder: PathBuf,
    },
    /// Prints requests as OTLP in JSON, a line each
    Cat {
        #[command(flatten)]
        selection: Selection,
    },
    /// Writes requests to files, NUMBER.SIGNAL.otlp: OTLP as protobuf, as it is posted to /v1/SIGNAL
    Export {
        #[command(flatten)]
        selection: Selection,
        /// The folder to write to; it is made if it is not there
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
}

/// Which entries, of which journal.
#[derive(Debug, Args)]
struct Selection {
    /// The journal's folder
    folder: PathBuf,
    /// Only these, open or not; may be given several times [default: all that are open]
    #[arg(long, value_name = "NUMBER", conflicts_with = "all")]
    entry: Vec<u64>,
    /// Also entries that are closed and still there
    #[arg(long)]
    all: bool,
}

impl Selection {
    /// The entries of a journal that are asked for, in their order.
    fn of<'a>(&self, journal: &'a AtRest) -> anyhow::Result<Vec<&'a EntryAtRest>> {
        for number in &self.entry {
            let is_there = journal.entries.iter().any(|entry| entry.number == *number);
            ensure!(is_there, "there is no entry {number} in `{}`", self.folder.display());
        }
        let is_chosen = |entry: &&EntryAtRest| match self.entry.is_empty() {
            true => self.all || entry.is_open,
            false => self.entry.contains(&entry.number),
        };
        Ok(journal.entries.iter().filter(is_chosen).collect())
    }
}

impl Journal {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match self.task.run(&mut io::stdout().lock(), &mut io::stderr().lock()) {
            // Who reads it may stop reading at any time.
            Err(error) if is_closed(&error) => Ok(()),
            done => done,
        }
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

impl Task {
    fn run(&self, out: &mut dyn Write, notes: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Ls { selection, json } => {
                let journal = open(&selection.folder)?;
                let mut out = io::BufWriter::new(out);
                for entry in selection.of(&journal)? {
                    match json {
                        true => writeln!(out, "{}", show::json(entry)?)?,
                        false => writeln!(out, "{}", show::line(entry))?,
                    }
                }
                out.flush()?;
                writeln!(notes, "{}", show::summary(&journal))?;
            }
            Self::Verify { folder } => verify(&open(folder)?, out)?,
            Self::Cat { selection } => {
                let journal = open(&selection.folder)?;
                each(&journal, &selection.of(&journal)?, notes, |_, batch| {
                    out.write_all(&otlp_json::encode(batch))?;
                    Ok(out.write_all(b"\n")?)
                })?;
            }
            Self::Export { selection, to } => {
                let journal = open(&selection.folder)?;
                let entries = selection.of(&journal)?;
                fs::create_dir_all(to)
                    .with_context(|| format!("cannot make `{}`", to.display()))?;
                each(&journal, &entries, notes, |entry, batch| export(entry, batch, to))?;
                writeln!(notes, "{} requests are in `{}`", entries.len(), to.display())?;
            }
        }
        Ok(())
    }
}

/// Reads the journal in a folder.
fn open(folder: &Path) -> anyhow::Result<AtRest> {
    Lock::check(folder)?;
    let journal = AtRest::read(Arc::new(ReadOnlyDisk), folder)?;
    if journal.segments.is_empty() && journal.set_aside.is_empty() {
        let inner = folder.join("journal");
        let is_there = AtRest::read(Arc::new(ReadOnlyDisk), &inner);
        let is_there = is_there.is_ok_and(|journal| !journal.segments.is_empty());
        let hint = is_there.then(|| format!(", but in `{}`", inner.display()));
        bail!("there is no journal in `{}`{}", folder.display(), hint.unwrap_or_default());
    }
    Ok(journal)
}

/// Reads a request; whoever took it in checked it before.
fn read(journal: &AtRest, entry: &EntryAtRest) -> anyhow::Result<Batch> {
    let body = plain_body(&entry.origin, journal.body(entry)?).map_err(|error| anyhow!(error))?;
    let context = Arc::new(Context { arrived: entry.arrived, ..Context::default() });
    Ok(Batch::try_new(entry.signal, body, context, &DoorLimits::NONE)?.batch)
}

/// Does something with each request. One that cannot be read is told, and the others are read.
fn each(
    journal: &AtRest,
    entries: &[&EntryAtRest],
    notes: &mut dyn Write,
    mut with: impl FnMut(&EntryAtRest, &Batch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut num_unreadable = 0;
    for entry in entries {
        match read(journal, entry) {
            Ok(batch) => with(entry, &batch)?,
            Err(error) => {
                num_unreadable += 1;
                writeln!(notes, "entry {} cannot be read: {error:#}", entry.number)?;
            }
        }
    }
    ensure!(num_unreadable == 0, "{num_unreadable} entries cannot be read");
    Ok(())
}

/// Writes a request to a file of its own, durably.
fn export(entry: &EntryAtRest, batch: &Batch, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(format!("{}.{}.otlp", entry.number, entry.signal.as_str()));
    let written = File::create_new(&path).and_then(|mut file| {
        batch.chunks().iter().try_for_each(|chunk| file.write_all(chunk))?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

/// Tells of each file what is in it, and reads every open request.
fn verify(journal: &AtRest, out: &mut dyn Write) -> anyhow::Result<()> {
    for segment in &journal.segments {
        writeln!(out, "{}", show::segment(segment))?;
    }
    for path in &journal.set_aside {
        writeln!(out, "{}: set aside at an earlier start", path.display())?;
    }
    let open: Vec<&EntryAtRest> = journal.entries.iter().filter(|entry| entry.is_open).collect();
    let read = each(journal, &open, out, |_, _| Ok(()));
    writeln!(out, "{}", show::summary(journal))?;
    read?;
    let damaged: u64 = journal.segments.iter().map(|segment| segment.damaged_bytes).sum();
    ensure!(damaged == 0, "{damaged} bytes are damaged; at the next start they are set aside");
    Ok(())
}
