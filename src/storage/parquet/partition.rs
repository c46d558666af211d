//! Folders by tenant or attribute, in Hive's form.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::data::{Attributes, Batch, Item, Record, Value};

/// The name that stands for the batch's tenant.
const TENANT: &str = "tenant";

/// What the names of the folders begin with, so that none is called as a column: readers take what
/// the path says for the column of that name, and it says less than the column.
const PREFIX: &str = "partition_";

/// Where records without a value go; readers know it for NULL.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// Where records go whose value is too long, or one too many.
const OTHER: &str = "__other__";

/// The longest value that names a folder, in bytes after escaping.
const MAX_VALUE: usize = 128;

/// What files are divided by, beside the hour.
#[derive(Clone, Debug)]
pub struct Partitioning {
    /// `tenant`, or names of attributes: of the record or else the resource for those that are
    /// promoted, else of the resource.
    pub by: Vec<String>,
    /// How many partitions have a file of their own in a commit.
    pub max_open: usize,
}

/// The name of the folders of a key, without their value.
#[must_use]
pub(super) fn folder_name(key: &str) -> String {
    format!("{PREFIX}{}", super::schema::promoted_name(key))
}

/// Whether a part of an object's name is such a folder.
#[must_use]
pub(super) fn is_folder(part: &str) -> bool {
    part.starts_with(PREFIX) && part.contains('=')
}

/// Tells which partition a record is in.
#[derive(Debug)]
pub(super) struct Partitioner {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    folder: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Tenant,
    Resource(String),
    RecordOrResource(String),
}

impl Partitioner {
    pub(super) fn new(by: &[String], promoted: &[String]) -> Self {
        let key = |name: &String| Key {
            folder: folder_name(name),
            source: match name.as_str() {
                TENANT => Source::Tenant,
                _ if promoted.contains(name) => Source::RecordOrResource(name.clone()),
                _ => Source::Resource(name.clone()),
            },
        };
        Self { keys: by.iter().map(key).collect() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Appends the folders of a record, each with `/` before it.
    fn push(&self, tenant: &str, item: &Item<'_, Record<'_>>, path: &mut String) {
        for Key { folder, source } in &self.keys {
            let of_resource = |name: &String| item.resource.attributes().get(name);
            let value = match source {
                Source::Tenant => Some(Value::Str(tenant)),
                Source::Resource(name) => of_resource(name),
                Source::RecordOrResource(name) => {
                    attributes(&item.record).get(name).or_else(|| of_resource(name))
                }
            };
            let _ = write!(path, "/{folder}=");
            match value {
                None | Some(Value::Empty) => path.push_str(NULL),
                Some(value) => push_escaped(&value.to_text(), path),
            }
        }
    }

    /// The partitions of a batch, and the index of that of each record.
    pub(super) fn partitions(&self, batch: &Batch) -> (Vec<String>, Vec<usize>) {
        let tenant = batch.context().tenant.as_deref().unwrap_or_default();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut of_records = Vec::with_capacity(batch.num_records());
        let mut last: Option<(String, usize)> = None;
        let mut path = String::new();
        batch.for_each(|item| {
            path.clear();
            self.push(tenant, item, &mut path);
            if let Some((last, index)) = &last
                && *last == path
            {
                return of_records.push(*index);
            }
            let next = known.len();
            let index = *known.entry(path.clone()).or_insert(next);
            last = Some((path.clone(), index));
            of_records.push(index);
        });
        let mut paths: Vec<(String, usize)> = known.into_iter().collect();
        paths.sort_by_key(|(_, index)| *index);
        (paths.into_iter().map(|(path, _)| path).collect(), of_records)
    }

    /// The folders of records that have no room elsewhere.
    pub(super) fn other(&self) -> String {
        self.keys.iter().map(|Key { folder, .. }| format!("/{folder}={OTHER}")).collect()
    }
}

fn attributes<'a>(record: &Record<'a>) -> Attributes<'a> {
    match record {
        Record::Log(record) => record.attributes(),
        Record::Span(span) => span.attributes(),
        Record::Point(point) => point.data.attributes(),
    }
}

/// Appends a value with `%` and two digits for every byte that is not a letter, a digit, `.`, `-`
/// or `_`, and for a `_` that two begin with: no value is a way out of its folder, or taken for one
/// of the names above.
fn push_escaped(value: &str, path: &mut String) {
    if value.is_empty() {
        return path.push_str(NULL);
    }
    let start = path.len();
    let is_reserved = value.starts_with("__");
    for (index, byte) in value.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if is_plain && !(is_reserved && index == 0) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
        if path.len() - start > MAX_VALUE {
            path.truncate(start);
            return path.push_str(OTHER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(value: &str) -> String {
        let mut path = String::new();
        push_escaped(value, &mut path);
        path
    }

    #[test]
    fn values_stay_in_one_folder_and_are_told_apart() {
        assert_eq!(escaped("checkout-2.eu_west"), "checkout-2.eu_west");
        assert_eq!(escaped("a/../b c=d%"), "a%2F..%2Fb%20c%3Dd%25");
        assert_eq!(escaped("\u{e9}\0"), "%C3%A9%00");
        assert_eq!(escaped(""), NULL);
        assert_eq!(escaped(NULL), "%5F_HIVE_DEFAULT_PARTITION__");
        assert_eq!(escaped(OTHER), "%5F_other__");
        assert_eq!(escaped(&"x".repeat(MAX_VALUE)), "x".repeat(MAX_VALUE));
        assert_eq!(escaped(&"x".repeat(MAX_VALUE + 1)), OTHER);
    }
}
