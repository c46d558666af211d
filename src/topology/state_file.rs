//! What stages know, kept from a stop to the next start: `stages.json` in the data directory.
//!
//! The file has its magic, its version, and for each stage of each worker the version of its state
//! and its bytes in base64. It goes when it was read: after a crash stages begin anew.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::chain::State;
use super::wiring::ChainId;

const NAME: &str = "stages.json";
const MAGIC: &str = "catchment stages";
const VERSION: u32 = 1;

#[derive(Deserialize, Serialize)]
struct Contents {
    magic: String,
    version: u32,
    stages: Vec<Stage>,
}

#[derive(Deserialize, Serialize)]
struct Stage {
    /// The pipeline or connector that it is in.
    chain: String,
    stage: String,
    worker: (usize, usize),
    version: u32,
    bytes: String,
}

/// Keeps what stages know; says so where that cannot be done. Nothing is written of nothing.
pub(super) fn keep(folder: &Path, states: &BTreeMap<ChainId, Vec<State>>) {
    let stage = |(chain, state): (&ChainId, &State)| Stage {
        chain: chain.to_string(),
        stage: state.stage.clone(),
        worker: state.worker,
        version: state.version,
        bytes: STANDARD.encode(&state.bytes),
    };
    let all = states.iter().flat_map(|(id, states)| states.iter().map(move |state| (id, state)));
    let stages: Vec<Stage> = all.map(stage).collect();
    if stages.is_empty() {
        return;
    }
    let contents = Contents { magic: MAGIC.to_owned(), version: VERSION, stages };
    let path = folder.join(NAME);
    if let Err(error) = write(folder, &path, &contents) {
        warn!(path = %path.display(), %error, "what stages know cannot be kept, they will begin anew");
    }
}

fn write(folder: &Path, path: &Path, contents: &Contents) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec(contents)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

/// Takes what the stages knew at the last stop; it is gone from the disk then.
pub(super) fn take(folder: &Path) -> BTreeMap<String, Vec<State>> {
    let path = folder.join(NAME);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            warn!(path = %path.display(), %error, "cannot read what stages knew, they begin anew");
            return BTreeMap::new();
        }
    };
    let states = read(&text).unwrap_or_else(|why| {
        warn!(path = %path.display(), why, "cannot read what stages knew, they begin anew");
        BTreeMap::new()
    });
    if let Err(error) = fs::remove_file(&path) {
        // A later start would take what is old by then.
        warn!(path = %path.display(), %error, "cannot remove what stages knew, they begin anew");
        return BTreeMap::new();
    }
    info!(path = %path.display(), stages = states.len(), "stages go on from the last stop");
    states
}

fn read(text: &[u8]) -> Result<BTreeMap<String, Vec<State>>, String> {
    let contents: Contents = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if contents.magic != MAGIC || contents.version > VERSION {
        return Err(format!("it has version {}, at most {VERSION} is known", contents.version));
    }
    let mut states: BTreeMap<String, Vec<State>> = BTreeMap::new();
    for Stage { chain, stage, worker, version, bytes } in contents.stages {
        let bytes = STANDARD.decode(bytes).map_err(|error| error.to_string())?;
        states.entry(chain).or_default().push(State { stage, worker, version, bytes });
    }
    Ok(states)
}
