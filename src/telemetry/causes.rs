//! An error on one line.

use std::error::Error;

/// The message of `error` and of its causes, from the outermost inwards, with colons between.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn causes_follow_their_error() {
        let inner = "x".parse::<u8>().unwrap_err();
        assert_eq!(with_causes(&Outer(inner)), "outer: invalid digit found in string");
    }
}
