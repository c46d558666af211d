//! What becomes of an attribute by its name.

use std::collections::{HashMap, HashSet};

use regex::Regex;

/// Names are remembered up to this number; then it begins anew.
const MAX_KNOWN: usize = 4096;

/// Summaries that an earlier processor of this kind may have written; they stay (those of allowed
/// values and of bodies do not, as in the Collector).
const SUMMARIES: [&str; 5] = [
    "redaction.redacted.keys",
    "redaction.redacted.count",
    "redaction.masked.keys",
    "redaction.masked.count",
    "redaction.ignored.count",
];

/// What becomes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays, and its value is not looked at.
    Ignore,
    /// It is removed.
    Remove,
    /// Its value is masked.
    Mask,
    /// Its value is looked at.
    Look,
}

/// The rules for names.
pub(super) struct Keys {
    /// The only names that stay; none if all do.
    allowed: Option<HashSet<String>>,
    ignored: HashSet<String>,
    ignored_patterns: Vec<Regex>,
    blocked_patterns: Vec<Regex>,
    /// Names are few, and expressions cost more than a lookup.
    known: HashMap<String, Fate>,
}

impl Keys {
    pub(super) fn new(
        allowed: Option<Vec<String>>,
        ignored: Vec<String>,
        [ignored_patterns, blocked_patterns]: [Vec<Regex>; 2],
    ) -> Self {
        let with_summaries =
            |keys: Vec<String>| keys.into_iter().chain(SUMMARIES.map(str::to_owned)).collect();
        Self {
            allowed: allowed.map(with_summaries),
            ignored: ignored.into_iter().collect(),
            ignored_patterns,
            blocked_patterns,
            known: HashMap::new(),
        }
    }

    pub(super) fn fate(&mut self, key: &str) -> Fate {
        if self.ignored_patterns.is_empty() && self.blocked_patterns.is_empty() {
            return self.looked_up(key);
        }
        if let Some(fate) = self.known.get(key) {
            return *fate;
        }
        let fate = self.looked_up(key);
        if self.known.len() == MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(key.to_owned(), fate);
        fate
    }

    fn looked_up(&self, key: &str) -> Fate {
        let matches = |patterns: &[Regex]| patterns.iter().any(|regex| regex.is_match(key));
        if self.ignored.contains(key) || matches(&self.ignored_patterns) {
            return Fate::Ignore;
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(key)) {
            return Fate::Remove;
        }
        if matches(&self.blocked_patterns) { Fate::Mask } else { Fate::Look }
    }
}
