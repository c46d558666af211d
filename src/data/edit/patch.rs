//! A list of changes to a chunk, applied in one copy.

use super::super::wire::{Writer, varint_len};

/// What comes in the place of a range of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum New {
    /// Nothing: the range is left out.
    Nothing,
    /// A length.
    Length(u64),
    /// A range of the scratch space.
    Scratch(usize, usize),
}

/// A change: `start..end` of the chunk becomes something else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The number of the field that is changed, where that matters.
    pub(super) number: u32,
    pub(super) new: New,
}

/// A length that has yet to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    index: usize,
}

/// Changes to one chunk.
#[derive(Debug, Default)]
pub(super) struct Patches {
    list: Vec<Patch>,
    scratch: Writer,
}

impl Patches {
    /// Whether nothing changes.
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many changes there are.
    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.scratch.clear();
    }

    /// The changes from `first` on.
    pub(super) fn since(&self, first: usize) -> &[Patch] {
        self.list.get(first..).unwrap_or_default()
    }

    /// The changes from `first` on.
    pub(super) fn since_mut(&mut self, first: usize) -> &mut [Patch] {
        self.list.get_mut(first..).unwrap_or_default()
    }

    /// Takes back the changes from `first` on.
    pub(super) fn truncate(&mut self, first: usize) {
        self.list.truncate(first);
    }

    /// Adds a change.
    pub(super) fn push(&mut self, patch: Patch) {
        self.list.push(patch);
    }

    /// Writes into the scratch space; returns the range.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Writer)) -> New {
        let start = self.scratch.len();
        write(&mut self.scratch);
        New::Scratch(start, self.scratch.len())
    }

    /// What stands in the place of a changed range.
    pub(super) fn new_bytes(&self, new: New) -> &[u8] {
        match new {
            New::Scratch(start, end) => self.scratch.as_slice().get(start..end).unwrap_or_default(),
            New::Nothing | New::Length(_) => &[],
        }
    }

    /// Begins a message whose length stands at `start..end`; its changes come next.
    #[inline]
    pub(super) fn begin(&mut self, start: usize, end: usize) -> Pending {
        let index = self.list.len();
        self.list.push(Patch { start, end, number: 0, new: New::Length(0) });
        Pending { index }
    }

    /// Ends a message that had `old_length` bytes and grew by `growth`; returns by how much it grew
    /// with its length.
    #[inline]
    pub(super) fn end(&mut self, pending: Pending, old_length: usize, growth: isize) -> isize {
        if self.list.len() == pending.index + 1 {
            self.list.pop();
            return 0;
        }
        let new_length = old_length.saturating_add_signed(growth) as u64;
        let Some(patch) = self.list.get_mut(pending.index) else { return growth };
        patch.new = New::Length(new_length);
        growth + difference(varint_len(new_length), patch.end - patch.start)
    }

    /// Leaves out the message that was begun with `pending` and stands at `start..end`.
    #[inline]
    pub(super) fn remove(&mut self, pending: Pending, start: usize, end: usize) -> isize {
        self.list.truncate(pending.index);
        let growth = difference(0, end - start);
        if let Some(last) = self.list.last_mut()
            && last.end == start
            && last.new == New::Nothing
        {
            last.end = end;
            return growth;
        }
        self.list.push(Patch { start, end, number: 0, new: New::Nothing });
        growth
    }

    /// Puts the changes from `first` on in order; returns by how much they make the chunk grow.
    pub(super) fn seal(&mut self, first: usize) -> isize {
        let scratch = &self.scratch;
        let patches = self.list.get_mut(first..).unwrap_or_default();
        if patches.len() > 1 {
            patches.sort_by_key(|patch| patch.start);
        }
        patches
            .iter()
            .map(|patch| difference(new_len(scratch, patch), patch.end - patch.start))
            .sum()
    }

    /// The chunk with all changes made, which make it grow by `growth`.
    pub(super) fn apply(&self, chunk: &[u8], growth: isize) -> Vec<u8> {
        let mut writer = Writer::with_capacity(chunk.len().saturating_add_signed(growth));
        let mut position = 0;
        for patch in &self.list {
            writer.raw(chunk.get(position..patch.start).unwrap_or_default());
            match patch.new {
                New::Nothing => {}
                New::Length(length) => writer.varint(length),
                New::Scratch(..) => writer.raw(self.new_bytes(patch.new)),
            }
            position = patch.end;
        }
        writer.raw(chunk.get(position..).unwrap_or_default());
        writer.into_vec()
    }
}

fn new_len(scratch: &Writer, patch: &Patch) -> usize {
    match patch.new {
        New::Nothing => 0,
        New::Length(length) => varint_len(length),
        New::Scratch(start, end) => {
            debug_assert!(end <= scratch.len(), "scratch space only grows");
            end - start
        }
    }
}

/// `new - old`; slices are never so long that this overflows.
#[inline]
const fn difference(new: usize, old: usize) -> isize {
    new.cast_signed() - old.cast_signed()
}
