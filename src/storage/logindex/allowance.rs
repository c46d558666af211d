//! How much memory a search may take.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::LogIndexError;

/// The memory that a search may take, and who is told how much it does: by default as much as it
/// likes, and nobody.
///
/// It counts what grows with what is found: records that may match, and those that do.
#[derive(Clone, Default)]
pub struct Allowance(Option<Arc<Inner>>);

struct Inner {
    max_bytes: usize,
    taken: Mutex<Taken>,
}

struct Taken {
    size_bytes: usize,
    tell: Box<dyn FnMut(usize) + Send>,
}

impl Allowance {
    /// At most `max_bytes`; `tell` is called with what is taken whenever that changes, and dropped
    /// with the last clone of this.
    #[must_use]
    pub fn new(max_bytes: usize, tell: impl FnMut(usize) + Send + 'static) -> Self {
        let taken = Mutex::new(Taken { size_bytes: 0, tell: Box::new(tell) });
        Self(Some(Arc::new(Inner { max_bytes, taken })))
    }

    /// Takes so much more.
    ///
    /// # Errors
    ///
    /// Fails when it is more than the search may take.
    pub(crate) fn take(&self, size_bytes: usize) -> Result<(), LogIndexError> {
        let max_bytes = self.0.as_ref().map_or(usize::MAX, |inner| inner.max_bytes);
        let taken = self.change(|taken| taken.saturating_add(size_bytes));
        if taken > max_bytes { Err(LogIndexError::TooLarge { max_bytes }) } else { Ok(()) }
    }

    /// Gives so much back of what was taken.
    pub(crate) fn give_back(&self, size_bytes: usize) {
        self.change(|taken| taken.saturating_sub(size_bytes));
    }

    fn change(&self, change: impl FnOnce(usize) -> usize) -> usize {
        let Some(inner) = &self.0 else { return 0 };
        let mut taken = inner.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let size_bytes = change(taken.size_bytes);
        taken.size_bytes = size_bytes;
        (taken.tell)(size_bytes);
        size_bytes
    }
}

impl fmt::Debug for Allowance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max_bytes = self.0.as_ref().map(|inner| inner.max_bytes);
        out.debug_struct("Allowance").field("max_bytes", &max_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_is_taken_is_told_and_ends_at_the_limit() {
        let (tell, told) = mpsc::sync_channel(8);
        let allowance = Allowance::new(100, move |size_bytes| tell.send(size_bytes).unwrap());
        assert!(allowance.take(60).is_ok());
        let too_much = allowance.clone().take(41);
        assert!(matches!(too_much, Err(LogIndexError::TooLarge { max_bytes: 100 })));
        allowance.give_back(61);
        assert!(allowance.take(60).is_ok());
        drop(allowance);
        assert_eq!(told.iter().collect::<Vec<_>>(), [60, 101, 40, 100]);
        assert!(Allowance::default().take(usize::MAX).is_ok());
    }
}
