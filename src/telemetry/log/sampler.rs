//! Limits repeated lines of the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tracing::callsite::Identifier;

use super::LogSampling;
use crate::data::Time;

/// Counts lines by the place in the program that writes them: messages are constant there.
pub(super) struct Sampler {
    settings: LogSampling,
    counts: Mutex<HashMap<Identifier, Count>>,
}

#[derive(Default)]
struct Count {
    tick_ends: Time,
    num_lines: u64,
}

impl Sampler {
    pub(super) fn new(settings: LogSampling) -> Self {
        Self { settings, counts: Mutex::default() }
    }

    /// Whether the next line from `callsite` is written.
    pub(super) fn takes(&self, callsite: Identifier, now: Time) -> bool {
        let LogSampling { tick, initial, thereafter } = self.settings;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(callsite).or_default();
        if now >= count.tick_ends {
            *count = Count { tick_ends: now.saturating_add(tick), num_lines: 0 };
        }
        count.num_lines += 1;
        let num_over = count.num_lines.saturating_sub(initial);
        num_over == 0 || (thereafter > 0 && num_over % thereafter == 0)
    }
}
