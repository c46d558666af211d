//! Rewriting groups as a whole: elements first, then what they share, which may change with them.

use bytes::Bytes;

use super::super::batch::{Allocation, Chunks};
use super::super::wire::{Fields, Writer};
use super::super::{Batch, Metric, Signal};

/// The field that holds the resource or scope in its group.
const OWNER: u32 = 1;
/// The field that holds the groups inside of a group, or the elements.
const CHILDREN: u32 = 2;

/// What is done with the groups of a batch, from the outside in and back.
pub trait Regroup<'a> {
    /// A resource's group begins.
    fn begin_resource(&mut self, resource: &'a [u8]);
    /// A scope's group begins.
    fn begin_scope(&mut self, scope: &'a [u8]);
    /// Calls `emit` with each encoded message that comes in the place of an element.
    fn element(&mut self, element: &'a [u8], emit: &mut dyn FnMut(&[u8]));
    /// A scope's group ends: the scope as it is now.
    fn end_scope(&mut self) -> &[u8];
    /// A resource's group ends: the resource as it is now.
    fn end_resource(&mut self) -> &[u8];
}

impl Batch {
    /// Rewrites all groups with `edit`; those that lose all their elements are left out.
    ///
    /// Costs copying the batch; [`Batch::rewrite`] copies less where only elements are written.
    #[must_use]
    pub fn regroup<'a>(&'a self, edit: &mut impl Regroup<'a>) -> Self {
        let mut chunks = Chunks::new();
        let mut num_records = 0;
        for (chunk, _) in self.chunks_with_allocations() {
            let mut written = Written { signal: self.signal(), num_records: 0 };
            let mut out = Writer::with_capacity(chunk.len());
            written.request(chunk, edit, &mut out);
            num_records += written.num_records;
            if !out.is_empty() {
                let edited = Bytes::from(out.into_vec());
                let allocation = Allocation::new(edited.len());
                chunks.push((edited, allocation));
            }
        }
        self.with_chunks(chunks, num_records)
    }
}

/// What was written so far.
struct Written {
    signal: Signal,
    num_records: usize,
}

impl Written {
    fn request<'a>(&mut self, chunk: &'a [u8], edit: &mut impl Regroup<'a>, out: &mut Writer) {
        for field in Fields::new(chunk) {
            if field.number == 1 {
                self.resource(field.bytes(), edit, out);
            } else {
                out.raw(chunk.get(field.start..field.end).unwrap_or_default());
            }
        }
    }

    fn resource<'a>(&mut self, group: &'a [u8], edit: &mut impl Regroup<'a>, out: &mut Writer) {
        edit.begin_resource(owner(group));
        let mut rest = Writer::with_capacity(group.len());
        let (mut had_groups, mut has_groups) = (false, false);
        for field in Fields::new(group).filter(|field| field.number != OWNER) {
            if field.number == CHILDREN {
                had_groups = true;
                has_groups |= self.scope(field.bytes(), edit, &mut rest);
            } else {
                rest.raw(group.get(field.start..field.end).unwrap_or_default());
            }
        }
        let resource = edit.end_resource();
        if had_groups && !has_groups {
            return;
        }
        write_group(resource, !owner(group).is_empty(), &rest, 1, out);
    }

    fn scope<'a>(
        &mut self,
        group: &'a [u8],
        edit: &mut impl Regroup<'a>,
        out: &mut Writer,
    ) -> bool {
        edit.begin_scope(owner(group));
        let mut rest = Writer::with_capacity(group.len());
        let (mut had_elements, mut has_elements) = (false, false);
        for field in Fields::new(group).filter(|field| field.number != OWNER) {
            if field.number != CHILDREN {
                rest.raw(group.get(field.start..field.end).unwrap_or_default());
                continue;
            }
            had_elements = true;
            edit.element(field.bytes(), &mut |element| {
                has_elements = true;
                self.num_records += match self.signal {
                    Signal::Metrics => Metric::of_encoded(element).points().count(),
                    Signal::Logs | Signal::Traces => 1,
                };
                rest.bytes_field(CHILDREN, element);
            });
        }
        let scope = edit.end_scope();
        if had_elements && !has_elements {
            return false;
        }
        write_group(scope, !owner(group).is_empty(), &rest, CHILDREN, out);
        true
    }
}

/// The encoded resource or scope of a group.
fn owner(group: &[u8]) -> &[u8] {
    Fields::new(group).first(OWNER).map_or(&[], |field| field.bytes())
}

fn write_group(owner: &[u8], had_owner: bool, rest: &Writer, number: u32, out: &mut Writer) {
    let mark = out.begin_about(number, owner.len() + rest.len());
    if had_owner || !owner.is_empty() {
        out.bytes_field(OWNER, owner);
    }
    out.raw(rest.as_slice());
    out.end(mark);
}
