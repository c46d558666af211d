//! Noting what threads execute, for the case that it kills the process.

use crate::component::Ack;
use crate::storage::journal::Slot;

/// A thread's place to note what it executes; without a journal it notes nothing.
#[derive(Debug, Default)]
pub(in crate::topology) struct Noting {
    slot: Option<(Slot, u128)>,
}

impl Noting {
    /// Of entries of the journal of this id.
    pub(super) const fn new(slot: Slot, journal: u128) -> Self {
        Self { slot: Some((slot, journal)) }
    }

    /// Notes that a component is executed on records that an ack stands for.
    pub(in crate::topology) fn begin(&mut self, component: &str, ack: &Ack) {
        let Some((slot, journal)) = &mut self.slot else { return };
        let entries = ack.entries_of(*journal);
        if entries.is_empty() {
            slot.clear();
        } else {
            slot.note(component, &entries);
        }
    }

    /// Notes that nothing is executed.
    pub(in crate::topology) fn end(&mut self) {
        if let Some((slot, _)) = &mut self.slot {
            slot.clear();
        }
    }

    /// Says whether something is to be done later with what was executed.
    pub(in crate::topology) fn hold(&mut self, is_holding: bool) {
        if let Some((slot, _)) = &mut self.slot {
            slot.hold(is_holding);
        }
    }
}
