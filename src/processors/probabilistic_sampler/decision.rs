//! The decision on one item, whatever its signal.

use crate::data::TraceId;
use crate::sampling::{Randomness, SamplingState, Threshold};

/// How a decision is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Method {
    /// Nothing is kept.
    Never,
    /// By a hash.
    Hash {
        /// Of the hash's randomness.
        threshold: Threshold,
    },
    /// So that all that is kept was as likely to be.
    Equalizing {
        /// The least that there is.
        threshold: Threshold,
    },
    /// So that a share is kept.
    Proportional {
        /// The share, more than 0 and at most 1.
        ratio: f64,
        /// Hexadecimal digits of the thresholds.
        num_digits: u32,
    },
}

/// Where an item's randomness comes from, or what decided without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// A hash of its trace id.
    TraceIdHash,
    /// Its trace id.
    TraceIdW3c,
    /// It says so.
    SamplingRandomness,
    /// A hash of an attribute.
    Attribute,
    /// There is none.
    Missing,
    /// It has a priority.
    Priority,
}

/// What an item says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    /// How it was sampled before; `None` if that cannot be read.
    pub(super) state: Option<SamplingState>,
    /// Its trace id, if it has a valid one.
    pub(super) trace_id: Option<TraceId>,
    /// Its hash, where that decides.
    pub(super) hash: Option<(Randomness, Policy)>,
    /// The threshold that it asks for.
    pub(super) priority: Option<Threshold>,
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) is_kept: bool,
    /// How it was sampled by now, to be written into it; `None`: it stays as it is.
    pub(super) state: Option<SamplingState>,
    pub(super) policy: Policy,
}

/// Decides on items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decider {
    pub(super) method: Method,
    /// Whether items that do not say enough are dropped.
    pub(super) is_closed: bool,
}

impl Decider {
    pub(super) fn decide(&self, evidence: &Evidence) -> Verdict {
        let (randomness, mut policy) = self.randomness(evidence);
        let mut state = evidence.state;
        let mut is_sound = policy != Policy::Missing && state.is_some();
        if let (Method::Hash { .. }, Some(known)) = (self.method, &mut state) {
            if *known == SamplingState::default() {
                known.randomness = randomness;
            } else {
                // Another sampler's values must not be mixed with a hash.
                (is_sound, state) = (false, None);
            }
        }
        let randomness = randomness.unwrap_or(Randomness::MAX);
        if let Some(known) = &mut state
            && known.threshold.is_some_and(|threshold| !threshold.keeps(randomness))
        {
            // It should not be here; what it says does not hold.
            known.threshold = None;
            is_sound = false;
        }
        let mut threshold = match (is_sound, self.is_closed) {
            (true, _) => self.threshold(state.and_then(|state| state.threshold)),
            (false, true) => Threshold::NEVER,
            (false, false) => Threshold::ALWAYS,
        };
        if let Some(priority) = evidence.priority {
            (threshold, policy) = (priority, Policy::Priority);
        }
        if let Some(known) = &mut state {
            // It never becomes likelier to have been kept.
            known.threshold = known.threshold.max(Some(threshold));
        }
        Verdict { is_kept: threshold.keeps(randomness), state, policy }
    }

    fn randomness(&self, evidence: &Evidence) -> (Option<Randomness>, Policy) {
        let known = evidence.state.and_then(|state| state.randomness);
        match (self.method, evidence.hash, known, evidence.trace_id) {
            (Method::Never, ..) => (Some(Randomness::MAX), Policy::Priority),
            (Method::Hash { .. }, Some((randomness, policy)), ..) => (Some(randomness), policy),
            (Method::Hash { .. }, None, ..) => (None, Policy::Missing),
            (_, _, Some(randomness), _) => (Some(randomness), Policy::SamplingRandomness),
            (_, _, None, Some(id)) if evidence.state.is_some() => {
                (Some(Randomness::of_trace_id(id)), Policy::TraceIdW3c)
            }
            _ => (None, Policy::Missing),
        }
    }

    fn threshold(&self, arrived: Option<Threshold>) -> Threshold {
        match self.method {
            Method::Never => Threshold::NEVER,
            Method::Hash { threshold } => threshold,
            Method::Equalizing { threshold } => arrived.map_or(threshold, |it| it.max(threshold)),
            Method::Proportional { ratio, num_digits } => {
                let arrived = arrived.unwrap_or(Threshold::ALWAYS).probability();
                Threshold::of_probability(arrived * ratio, num_digits).unwrap_or(Threshold::NEVER)
            }
        }
    }
}
