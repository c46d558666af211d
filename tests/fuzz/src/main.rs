//! Feeds mutated input to one of the targets for a while:
//! `cargo run --manifest-path tests/fuzz/Cargo.toml -- TARGET SECONDS [SEED]`; `-- targets` lists
//! the targets.
//!
//! Inputs that make a target answer as no input before did are kept and mutated further. An input
//! on which a target panics is written to `tests/fuzz/failures/`; `-- TARGET FILE` runs it again.

mod corpus;
mod mutate;
mod targets;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, bail};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use mutate::Mutator;
use targets::Target;

/// Inputs kept at one time; beyond that a new one takes the place of a random one.
const MAX_KEPT: usize = 4096;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments == ["targets"] {
        println!("{}", targets::names().join("\n"));
        return Ok(());
    }
    let names = targets::names().join("|");
    let [target, what, rest @ ..] = &arguments[..] else {
        bail!("usage: fuzz targets, or fuzz {names} SECONDS|FILE [SEED]");
    };
    let target = Target::from_name(target)
        .with_context(|| format!("unknown target `{target}`, there are {names}"))?;
    let Ok(seconds) = what.parse() else {
        let input = fs::read(what).with_context(|| format!("cannot read `{what}`"))?;
        println!("answer {:#x}", target.run(&input));
        return Ok(());
    };
    let seed = match rest.first() {
        Some(seed) => seed.parse().context("the seed is a number")?,
        None => RandomState::new().hash_one(0),
    };
    fuzz(target, Duration::from_secs(seconds), seed)
}

fn fuzz(target: Target, limit: Duration, seed: u64) -> anyhow::Result<()> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mutator = Mutator::new(target.tokens());
    let mut kept = target.corpus();
    let mut answers: HashSet<u64> = HashSet::new();
    for input in &kept {
        answers.insert(run(target, input)?);
    }
    let started = Instant::now();
    let mut num_runs = 0_u64;
    while started.elapsed() < limit {
        let input = mutator.mutate(&kept, &mut random);
        num_runs += 1;
        if answers.insert(run(target, &input)?) {
            if kept.len() < MAX_KEPT {
                kept.push(input);
            } else {
                let place = mutate::index(kept.len(), &mut random);
                kept[place] = input;
            }
        }
    }
    println!(
        "{}: {num_runs} inputs in {:.0} s with seed {seed}, {} kinds of answers, nothing found",
        target.name(),
        started.elapsed().as_secs_f64(),
        answers.len(),
    );
    Ok(())
}

/// Runs the target on `input`, and keeps an input that it cannot take.
fn run(target: Target, input: &[u8]) -> anyhow::Result<u64> {
    match catch_unwind(AssertUnwindSafe(|| target.run(input))) {
        Ok(answer) => Ok(answer),
        Err(_) => {
            let path = save(target, input)?;
            bail!("`{}` panicked on {}", target.name(), path.display());
        }
    }
}

fn save(target: Target, input: &[u8]) -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("failures");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}-{:016x}", target.name(), targets::hash(input)));
    fs::write(&path, input)?;
    Ok(path)
}
