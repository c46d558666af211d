//! Walks an encoded `ExportLogsServiceRequest` down to its records.

use bytes::Bytes;

use super::record::Envelope;
use crate::data::wire::Fields;

/// Calls `each` for every record of `chunk`, with the envelope of its group.
///
/// `enter` is called once per group with the envelope and gives what is handed to `each`.
pub(crate) fn walk<'a, E, F>(
    chunk: &'a Bytes,
    mut enter: impl FnMut(Envelope) -> Result<E, F>,
    mut each: impl FnMut(&E, &'a [u8]) -> Result<(), F>,
) -> Result<(), F> {
    for resource_logs in messages(chunk, 1) {
        let resource = without(resource_logs, 2, chunk);
        for scope_logs in messages(resource_logs, 2) {
            let scope = without(scope_logs, 2, chunk);
            let mut records = messages(scope_logs, 2).peekable();
            if records.peek().is_none() {
                continue;
            }
            let entered = enter(Envelope { resource: resource.clone(), scope })?;
            for record in records {
                each(&entered, record)?;
            }
        }
    }
    Ok(())
}

fn messages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).filter(move |field| field.number == number).map(|field| field.bytes())
}

/// `message` without the fields of a number; shares the allocation where what is left hangs
/// together.
fn without(message: &[u8], number: u32, chunk: &Bytes) -> Bytes {
    let mut kept: Vec<u8> = Vec::new();
    let mut first: &[u8] = &[];
    for field in Fields::new(message).filter(|field| field.number != number) {
        let raw = message.get(field.start..field.end).unwrap_or_default();
        if first.is_empty() && kept.is_empty() {
            first = raw;
            continue;
        }
        if kept.is_empty() {
            kept.extend_from_slice(first);
        }
        kept.extend_from_slice(raw);
    }
    if kept.is_empty() { chunk.slice_ref(first) } else { Bytes::from(kept) }
}
