//! Making one batch of several, and giving back memory that is not used.

use std::sync::Arc;

use bytes::Bytes;

use super::super::batch::{Allocation, Chunks};
use super::super::{Batch, Context, Parts};

/// How many times its own bytes a chunk may hold on to.
const MAX_PINNED_RATIO: usize = 2;

/// Why batches do not make one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConcatError {
    /// There are none.
    #[error("no batches to join")]
    Empty,
    /// They hold different signals.
    #[error("batches of different signals cannot be joined")]
    Signals,
    /// They belong to different tenants or identities.
    #[error("batches of different tenants or identities cannot be joined")]
    Tenants,
}

impl Batch {
    /// Joins batches, chunk behind chunk, without copying.
    ///
    /// # Errors
    ///
    /// Fails when there are none, or when they differ in signal, tenant or identity.
    pub fn concat(batches: impl IntoIterator<Item = Self>) -> Result<Self, ConcatError> {
        let mut batches = batches.into_iter();
        let first = batches.next().ok_or(ConcatError::Empty)?;
        let mut chunks = Chunks::new();
        let mut num_records = 0;
        let mut context = Arc::clone(first.context());
        let mut parts = Parts::new();
        for batch in std::iter::once(first.clone()).chain(batches) {
            if batch.signal() != first.signal() {
                return Err(ConcatError::Signals);
            }
            if !Arc::ptr_eq(&context, batch.context()) {
                context = context.merge(batch.context()).ok_or(ConcatError::Tenants)?.into();
            }
            num_records += batch.num_records();
            let shared = batch.chunks_with_allocations();
            chunks.extend(shared.map(|(chunk, allocation)| (chunk.clone(), allocation)));
            parts.extend(batch.parts().iter().cloned());
        }
        parts.sort_unstable();
        parts.dedup();
        Ok(first.with_chunks(chunks, num_records).with_context(context).with_parts(parts))
    }

    /// The bytes of memory that this keeps from being freed.
    #[must_use]
    pub fn pinned_bytes(&self) -> usize {
        self.chunks_with_allocations().map(|(_, allocation)| allocation.size_bytes).sum()
    }

    /// Copies what is less than half of the memory that it holds on to; for what is kept for long.
    #[must_use]
    pub fn compact(self) -> Self {
        let is_compact = |(chunk, allocation): (&Bytes, Allocation)| {
            chunk.len() * MAX_PINNED_RATIO >= allocation.size_bytes
        };
        if self.chunks_with_allocations().all(is_compact) {
            return self;
        }
        let chunks = self
            .chunks_with_allocations()
            .map(|(chunk, allocation)| match is_compact((chunk, allocation)) {
                true => (chunk.clone(), allocation),
                false => (Bytes::copy_from_slice(chunk), Allocation::new(chunk.len())),
            })
            .collect();
        let num_records = self.num_records();
        self.with_chunks(chunks, num_records)
    }
}

impl Context {
    /// What is known of batches of both; `None` if they must not be joined.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Option<Self> {
        let (tenant, identity) = (&self.tenant, &self.identity);
        if (tenant, identity, &self.done) != (&other.tenant, &other.identity, &other.done) {
            return None;
        }
        let mut metadata = self.metadata.clone();
        metadata.retain(|name, values| other.metadata.get(name) == Some(values));
        Some(Self {
            tenant: tenant.clone(),
            identity: identity.clone(),
            peer: self.peer.filter(|peer| other.peer == Some(*peer)),
            metadata,
            arrived: self.arrived.min(other.arrived),
            done: Arc::clone(&self.done),
        })
    }
}
