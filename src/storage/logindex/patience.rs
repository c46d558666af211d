//! How long somebody waits for a search.

use std::time::{Duration, Instant};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::LogIndexError;

/// When a search is given up: by default never.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    deadline: Option<Instant>,
    gone: CancellationToken,
}

impl Patience {
    /// So long, from now on.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        Self { deadline: Some(Instant::now() + time), gone: CancellationToken::new() }
    }

    /// When this is dropped, nobody waits any more, and the search ends soon.
    #[must_use]
    pub fn end_on_drop(&self) -> DropGuard {
        self.gone.clone().drop_guard()
    }

    /// Fails when the search is to be given up.
    pub(crate) fn check(&self) -> Result<(), LogIndexError> {
        let is_over = self.deadline.is_some_and(|deadline| Instant::now() > deadline);
        if is_over || self.gone.is_cancelled() {
            return Err(LogIndexError::TooSlow);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_with_its_time_or_whoever_waits() {
        let patience = Patience::default();
        assert!(patience.check().is_ok());
        let guard = patience.clone().end_on_drop();
        assert!(patience.check().is_ok());
        drop(guard);
        assert!(matches!(patience.check(), Err(LogIndexError::TooSlow)));
        assert!(Patience::of(Duration::from_secs(3600)).check().is_ok());
        let over = Patience { deadline: Some(Instant::now()), ..Patience::default() };
        std::hint::black_box(&over);
        while Instant::now() <= over.deadline.unwrap() {}
        assert!(matches!(over.check(), Err(LogIndexError::TooSlow)));
    }
}
