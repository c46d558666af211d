//! Prints what hot paths cost in the last `cargo bench`, beside what they may cost.
//!
//! Reads `budgets.toml` and criterion's estimates; ends with status 1 when a budget is exceeded.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a command for people"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Budgets {
    budget: Vec<Budget>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    what: String,
    bench: String,
    counterpart: String,
    max_ratio: f64,
    aim_ns: Option<f64>,
}

/// `estimates.json` of criterion.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// `benchmark.json` of criterion.
#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
enum Throughput {
    Elements(u64),
    Bytes(u64),
}

fn main() -> ExitCode {
    match table() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(num_over) => {
            eprintln!("{num_over} budgets are exceeded");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the table and says how many budgets are exceeded.
fn table() -> anyhow::Result<usize> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(manifest.join("benches/budgets.toml"))?;
    let budgets: Budgets = toml::from_str(&text)?;
    let mut measured = Vec::new();
    collect(&target_folder()?.join("criterion"), &mut measured)?;
    println!("| what | ns each | counterpart | ratio | limit | |");
    println!("|---|---|---|---|---|---|");
    let mut num_over = 0;
    for budget in &budgets.budget {
        let find = |id: &str| {
            let found = measured.iter().find(|(known, _)| known == id);
            found
                .map(|(_, nanos)| *nanos)
                .with_context(|| format!("`{id}` was not measured; run `cargo bench` first"))
        };
        let (ours, other) = (find(&budget.bench)?, find(&budget.counterpart)?);
        let ratio = ours / other;
        let is_over = ratio > budget.max_ratio;
        num_over += usize::from(is_over);
        let aim = budget.aim_ns.map(|aim| format!(" (aim {aim})")).unwrap_or_default();
        let verdict = if is_over { "OVER" } else { "ok" };
        println!(
            "| {} | {ours:.1}{aim} | {other:.1} | {ratio:.3} | {} | {verdict} |",
            budget.what, budget.max_ratio
        );
    }
    Ok(num_over)
}

/// The folder that cargo builds in: the one that this program lies in.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let Some(target) = program.ancestors().nth(3) else { bail!("no target folder") };
    Ok(target.to_owned())
}

/// Collects the ids of all benchmarks below `folder` and their time for one element, in ns.
fn collect(folder: &Path, into: &mut Vec<(String, f64)>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("nothing was measured yet: no `{}`", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.file_name().is_some_and(|name| name == "new") {
            let Benchmark { full_id, throughput } = read(&path.join("benchmark.json"))?;
            let Estimates { median } = read(&path.join("estimates.json"))?;
            let elements = match throughput {
                Some(Throughput::Elements(count) | Throughput::Bytes(count)) => count,
                None => 1,
            };
            into.push((full_id, median.point_estimate / elements as f64));
        } else {
            collect(&path, into)?;
        }
    }
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}", path.display()))
}
