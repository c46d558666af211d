//! The W3C trace state, for the member `ot` that OpenTelemetry writes.

use smallvec::SmallVec;

use super::{Randomness, SamplingError, SamplingState, Threshold};

const MAX_BYTES: usize = 1024;
const MAX_MEMBERS: usize = 32;
const MAX_VALUE_BYTES: usize = 256;
const MAX_KEY_BYTES: usize = 256;
const MAX_TENANT_BYTES: usize = 241;
const MAX_SYSTEM_BYTES: usize = 14;

/// Why text is no trace state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceStateError {
    /// The whole, a part or the number of parts is larger than W3C allows.
    #[error("the trace state or a part of it is too large")]
    Size,
    /// Characters where they must not be.
    #[error("the trace state is malformed")]
    Syntax,
    /// A value that OpenTelemetry defines is wrong.
    #[error("the trace state has a wrong sampling value")]
    Value(#[from] SamplingError),
}

/// A trace state that was read; the members of others are kept byte for byte.
#[derive(Clone, Debug, Default)]
pub struct TraceState<'a> {
    /// How the item was sampled.
    pub sampling: SamplingState,
    /// Other values in the member `ot`, as they are.
    others_of_ot: SmallVec<[&'a str; 2]>,
    /// Members of others.
    others: SmallVec<[&'a str; 4]>,
}

impl<'a> TraceState<'a> {
    /// Reads a trace state; none is empty text.
    ///
    /// # Errors
    ///
    /// Fails when it is not what W3C or, for the member `ot`, OpenTelemetry says.
    pub fn parse(text: &'a str) -> Result<Self, TraceStateError> {
        let mut state = Self::default();
        if text.is_empty() {
            return Ok(state);
        }
        if text.len() > MAX_BYTES || text.split(',').count() > MAX_MEMBERS {
            return Err(TraceStateError::Size);
        }
        for member in text.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=').ok_or(TraceStateError::Syntax)?;
            check_key(key)?;
            check_value(value)?;
            if key == "ot" {
                state.read_ot(value)?;
            } else {
                state.others.push(member);
            }
        }
        Ok(state)
    }

    fn read_ot(&mut self, value: &'a str) -> Result<(), TraceStateError> {
        self.sampling = SamplingState::default();
        self.others_of_ot.clear();
        for item in value.split(';') {
            let (key, value) = item.split_once(':').ok_or(TraceStateError::Syntax)?;
            let is_key = key.starts_with(|char: char| char.is_ascii_lowercase())
                && key.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit());
            let is_value = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
            if !is_key || !value.chars().all(is_value) {
                return Err(TraceStateError::Syntax);
            }
            match key {
                "rv" => self.sampling.randomness = Some(Randomness::parse(value)?),
                "th" => self.sampling.threshold = Some(Threshold::parse(value)?),
                _ => self.others_of_ot.push(item),
            }
        }
        Ok(())
    }

    /// Appends the trace state to `text`: `ot` first, then the others in their order.
    pub fn push_to(&self, text: &mut String) {
        let SamplingState { randomness, threshold } = self.sampling;
        let items = randomness
            .map(|randomness| format!("rv:{randomness}"))
            .into_iter()
            .chain(threshold.map(|threshold| format!("th:{threshold}")));
        let mut separator = "ot=";
        for item in items {
            text.push_str(separator);
            text.push_str(&item);
            separator = ";";
        }
        for item in &self.others_of_ot {
            text.push_str(separator);
            text.push_str(item);
            separator = ";";
        }
        let mut separator = if separator == "ot=" { "" } else { "," };
        for member in &self.others {
            text.push_str(separator);
            text.push_str(member);
            separator = ",";
        }
    }
}

fn check_key(key: &str) -> Result<(), TraceStateError> {
    let is_char =
        |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "_-*/".contains(char);
    let starts_with_letter = |part: &str| part.starts_with(|char: char| char.is_ascii_lowercase());
    if key.len() > MAX_KEY_BYTES {
        return Err(TraceStateError::Size);
    }
    let is_valid = match key.split_once('@') {
        Some((tenant, system)) => {
            if tenant.len() > MAX_TENANT_BYTES || system.len() > MAX_SYSTEM_BYTES {
                return Err(TraceStateError::Size);
            }
            let is_start = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
            tenant.starts_with(is_start)
                && starts_with_letter(system)
                && tenant.chars().chain(system.chars()).all(is_char)
        }
        None => starts_with_letter(key) && key.chars().all(is_char),
    };
    if is_valid { Ok(()) } else { Err(TraceStateError::Syntax) }
}

fn check_value(value: &str) -> Result<(), TraceStateError> {
    let is_char = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
    let is_valid = !value.is_empty()
        && value.len() <= MAX_VALUE_BYTES
        && value.bytes().all(is_char)
        && !value.ends_with(' ');
    if is_valid { Ok(()) } else { Err(TraceStateError::Syntax) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        let mut written = String::new();
        TraceState::parse(text).unwrap().push_to(&mut written);
        written
    }

    #[test]
    fn members_of_others_stay_and_ot_comes_first() {
        let text = "t61rcWkgMzE@x=1";
        assert_eq!(TraceState::parse(text).unwrap_err(), TraceStateError::Syntax);
        let text = " 0a@x=Va lue:1;2 ,\tot=x:1;th:c0;y9:a.B-c_;rv:0123456789abcd , , b*/-_=~";
        let state = TraceState::parse(text).unwrap();
        assert_eq!(state.sampling.threshold, Threshold::parse("c").ok());
        assert_eq!(state.sampling.randomness, Randomness::parse("0123456789abcd").ok());
        let written = "ot=rv:0123456789abcd;th:c;x:1;y9:a.B-c_,0a@x=Va lue:1;2,b*/-_=~";
        assert_eq!(again(text), written);
        assert_eq!(again(written), written);
        for text in ["", "a=1", "a=1,b=2", "ot=th:0", "ot=x:"] {
            assert_eq!(again(text), text);
        }
        assert_eq!(again("ot=th:8,ot=x:1"), "ot=x:1");
    }

    #[test]
    fn what_the_specifications_forbid_is_refused() {
        for text in [
            "a", "=1", "A=1", "a=", "a=1=2", "a=ü", "1=1", "@x=1", "a@=1", "a@1=1", "ot=", "ot=th",
            "ot=TH:1", "ot=th:1;", "ot=1h:1", "ot=a:b c",
        ] {
            assert_eq!(TraceState::parse(text).unwrap_err(), TraceStateError::Syntax, "{text}");
        }
        for text in ["ot=th:", "ot=th:x", "ot=th:123456789abcdef", "ot=rv:123"] {
            let error = TraceState::parse(text).unwrap_err();
            assert!(matches!(error, TraceStateError::Value(_)), "{text}: {error}");
        }
        let many = vec!["a=1"; 33].join(",");
        let long = format!("{}=1", "a".repeat(257));
        let tenant = format!("a@{}=1", "a".repeat(15));
        for text in [many, long, tenant, "a=1,".repeat(300)] {
            assert_eq!(TraceState::parse(&text).unwrap_err(), TraceStateError::Size, "{text}");
        }
    }
}
