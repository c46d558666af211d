//! `--follow`: shows records as they come in.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;

use super::agent::{Agent, Tail};
use super::failure::Failure;
use super::output::Output;

/// The first and the longest pause before a lost connection is opened again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// How the line begins that tells what was missed; those of records begin with their time.
const MISSED: &str = "{\"missed\":";

#[derive(Deserialize)]
struct Missed {
    missed: u64,
}

/// Shows what comes in until the limit is reached. `again` are the parameters without a start.
///
/// Only the first connection must come about; one that is lost later is opened again.
pub(super) async fn follow(
    agent: &Agent,
    (first, again): (&str, &str),
    query: &str,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let mut tail = agent.tail(first, query).await?;
    while output.left > 0 {
        let why = match show(&mut tail, output).await {
            Ok(()) => "the agent ended the connection".to_owned(),
            Err(Failure::Lost(error)) => format!("the connection is lost: {error:#}"),
            Err(error) => return Err(error),
        };
        if output.left == 0 {
            break;
        }
        output.note(&format!("{why}; trying again"));
        tail = open_again(agent, again, query).await?;
        output.note("connected again; what came in meanwhile is not shown");
    }
    Ok(())
}

async fn open_again(agent: &Agent, parameters: &str, query: &str) -> Result<Tail, Failure> {
    let (mut pause, longest) = PAUSES;
    loop {
        sleep(pause).await;
        match agent.tail(parameters, query).await {
            Err(Failure::Lost(_)) => pause = (pause * 2).min(longest),
            opened => return opened,
        }
    }
}

/// Shows the lines of a tail to its end.
async fn show(tail: &mut Tail, output: &mut Output<'_>) -> Result<(), Failure> {
    while output.left > 0 {
        let Some(lines) = tail.next().await? else { break };
        let mut records = Vec::new();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            if !line.starts_with(MISSED) {
                records.push(line);
                continue;
            }
            output.records(records.drain(..))?;
            let missed = serde_json::from_str::<Missed>(line).map_or(0, |missed| missed.missed);
            output.note(&format!("{missed} records are left out here: too many at once"));
        }
        output.records(records)?;
    }
    Ok(())
}
