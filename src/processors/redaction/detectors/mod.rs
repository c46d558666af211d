//! Detectors: find sensitive values in texts and check that they are what they look like.
//!
//! A text is gone through once. A byte that some value has at a known place (the `@` of an address,
//! the first digit of a number, the `_` behind `ghp`) is where a detector looks, backwards and
//! forwards, by hand; all other bytes cost a table lookup. Every look has an upper bound, or goes
//! over bytes that are not looked at again, so that no text takes more than linear time.

mod haystack;
mod keys;
mod network;
mod numbers;
mod phones;

use std::ops::Range;

use serde::Deserialize;

use self::haystack::Haystack;

/// What a detector finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// Access key ids of AWS.
    AwsKey,
    /// Numbers of payment cards, with a network's prefix and length, and by Luhn's check digit.
    CreditCard,
    /// Mail addresses.
    Email,
    /// Tokens of GitHub, by their checksum where there is one.
    GithubToken,
    /// Tokens of GitLab.
    GitlabToken,
    /// API keys of Google.
    GoogleApiKey,
    /// International bank account numbers, by their country's length and check digits.
    Iban,
    /// Addresses of IPv4 and IPv6.
    Ip,
    /// JSON Web Tokens, whose header is JSON.
    Jwt,
    /// Access tokens of npm.
    NpmToken,
    /// Telephone numbers: international with an assigned country code, or North American.
    Phone,
    /// Private keys in PEM.
    PrivateKey,
    /// Tokens of Slack.
    SlackToken,
    /// Secret keys of Stripe.
    StripeKey,
    /// The password in `scheme://user:password@host`.
    UrlPassword,
}

impl Detector {
    /// All there are.
    pub const ALL: [Self; 15] = [
        Self::AwsKey,
        Self::CreditCard,
        Self::Email,
        Self::GithubToken,
        Self::GitlabToken,
        Self::GoogleApiKey,
        Self::Iban,
        Self::Ip,
        Self::Jwt,
        Self::NpmToken,
        Self::Phone,
        Self::PrivateKey,
        Self::SlackToken,
        Self::StripeKey,
        Self::UrlPassword,
    ];

    /// The name as the file has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsKey => "aws_key",
            Self::CreditCard => "credit_card",
            Self::Email => "email",
            Self::GithubToken => "github_token",
            Self::GitlabToken => "gitlab_token",
            Self::GoogleApiKey => "google_api_key",
            Self::Iban => "iban",
            Self::Ip => "ip",
            Self::Jwt => "jwt",
            Self::NpmToken => "npm_token",
            Self::Phone => "phone",
            Self::PrivateKey => "private_key",
            Self::SlackToken => "slack_token",
            Self::StripeKey => "stripe_key",
            Self::UrlPassword => "url_password",
        }
    }
}

/// Looks for a value around a trigger, or around the run of digits that begins with one; answers
/// where it stands.
type Find = fn(Haystack<'_>, Range<usize>) -> Option<Range<usize>>;

/// Which bytes make a detector look, and how it does.
struct Rule {
    detector: Detector,
    triggers: &'static [u8],
    find: Find,
}

const DIGITS: &[u8] = b"0123456789";

/// Where several detectors have a trigger, the first that finds something wins.
const RULES: [Rule; 17] = [
    Rule { detector: Detector::Iban, triggers: DIGITS, find: numbers::iban },
    Rule { detector: Detector::CreditCard, triggers: DIGITS, find: numbers::credit_card },
    Rule { detector: Detector::Ip, triggers: DIGITS, find: network::ipv4 },
    Rule { detector: Detector::Phone, triggers: DIGITS, find: phones::north_american },
    Rule { detector: Detector::Phone, triggers: b"+", find: phones::international },
    Rule { detector: Detector::Email, triggers: b"@", find: network::email },
    Rule { detector: Detector::UrlPassword, triggers: b":", find: network::url_password },
    Rule { detector: Detector::Ip, triggers: b":", find: network::ipv6 },
    Rule { detector: Detector::PrivateKey, triggers: b"-", find: keys::private_key },
    Rule { detector: Detector::GitlabToken, triggers: b"-", find: keys::gitlab },
    Rule { detector: Detector::SlackToken, triggers: b"-", find: keys::slack },
    Rule { detector: Detector::GithubToken, triggers: b"_", find: keys::github },
    Rule { detector: Detector::NpmToken, triggers: b"_", find: keys::npm },
    Rule { detector: Detector::StripeKey, triggers: b"_", find: keys::stripe },
    Rule { detector: Detector::AwsKey, triggers: b"A", find: keys::aws },
    Rule { detector: Detector::Jwt, triggers: b"J", find: keys::jwt },
    Rule { detector: Detector::GoogleApiKey, triggers: b"z", find: keys::google },
];

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub detector: Detector,
    /// The bytes of the text.
    pub range: Range<usize>,
}

/// Some detectors, ready to search texts.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// By byte: 0 for one that is no trigger, else the number of its group.
    triggers: [u8; 256],
    /// What is tried, in order.
    groups: Vec<Vec<(Detector, Find)>>,
}

impl Scanner {
    /// A scanner for these.
    #[must_use]
    pub fn new(detectors: &[Detector]) -> Self {
        let mut scanner = Self { triggers: [0; 256], groups: vec![Vec::new()] };
        for rule in RULES.iter().filter(|rule| detectors.contains(&rule.detector)) {
            scanner.add(rule);
        }
        scanner
    }

    fn add(&mut self, rule: &Rule) {
        // All triggers of a rule are in one group, for rules share all of them or none.
        let first = rule.triggers.first().map_or(0, |byte| usize::from(*byte));
        let mut group = self.triggers.get(first).copied().unwrap_or_default();
        if group == 0 {
            group = u8::try_from(self.groups.len()).unwrap_or_default();
            self.groups.push(Vec::new());
        }
        for byte in rule.triggers {
            if let Some(slot) = self.triggers.get_mut(usize::from(*byte)) {
                *slot = group;
            }
        }
        if let Some(finds) = self.groups.get_mut(usize::from(group)) {
            finds.push((rule.detector, rule.find));
        }
    }

    /// The next thing found from byte `from` on; nothing before it is found any more.
    #[must_use]
    pub fn next(&self, text: &str, from: usize) -> Option<Found> {
        let haystack = Haystack::new(text.as_bytes(), from);
        let mut at = from;
        loop {
            let rest = text.as_bytes().get(at..)?;
            at += rest.iter().position(|byte| self.group(*byte) != 0)?;
            let byte = haystack.at(at);
            let end = if byte.is_ascii_digit() { haystack.digits_end(at) } else { at + 1 };
            for (detector, find) in self.groups.get(usize::from(self.group(byte)))? {
                if let Some(range) = find(haystack, at..end) {
                    return Some(Found { detector: *detector, range });
                }
            }
            at = end;
        }
    }

    /// The text with `write` called for all that is found, to write what stands in its place;
    /// nothing if nothing is found.
    #[must_use]
    pub fn replaced(
        &self,
        text: &str,
        mut write: impl FnMut(Detector, &str, &mut String),
    ) -> Option<String> {
        let mut next = self.next(text, 0)?;
        let mut replaced = String::with_capacity(text.len());
        let mut position = 0;
        loop {
            let Found { detector, range } = next;
            replaced.push_str(text.get(position..range.start).unwrap_or_default());
            write(detector, text.get(range.clone()).unwrap_or_default(), &mut replaced);
            position = range.end;
            match self.next(text, position) {
                Some(found) => next = found,
                None => break,
            }
        }
        replaced.push_str(text.get(position..).unwrap_or_default());
        Some(replaced)
    }

    #[inline]
    fn group(&self, byte: u8) -> u8 {
        self.triggers.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
