//! The protobuf messages of remote-write 1.0, tags out.

/// `WriteRequest.timeseries` and `TimeSeries.labels`: field 1, length-delimited.
pub(super) const TAG_FIRST: u8 = 0x0a;
/// `Label.value` and `TimeSeries.samples`: field 2, length-delimited.
pub(super) const TAG_SECOND: u8 = 0x12;
/// `WriteRequest.metadata`: field 3, length-delimited.
pub(super) const TAG_METADATA: u8 = 0x1a;
/// `TimeSeries.exemplars`: field 3, length-delimited.
pub(super) const TAG_EXEMPLAR: u8 = 0x1a;
/// `TimeSeries.histograms`: field 4, length-delimited.
pub(super) const TAG_HISTOGRAM: u8 = 0x22;
/// Field 1, eight bytes.
pub(super) const TAG_FIRST_DOUBLE: u8 = 0x09;
/// Field 2, varint.
pub(super) const TAG_SECOND_VARINT: u8 = 0x10;

/// Appends a varint.
#[expect(clippy::cast_possible_truncation, reason = "seven bits are taken at a time")]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The encoded length of a varint.
pub(super) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// The encoded length of a field of one tag byte, a length, and `len` bytes.
pub(super) const fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Appends a field of bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends `TimeSeries.labels` with one `Label`.
pub(super) fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(TAG_FIRST);
    put_varint(out, (field_len(name.len()) + field_len(value.len())) as u64);
    put_bytes(out, TAG_FIRST, name.as_bytes());
    put_bytes(out, TAG_SECOND, value.as_bytes());
}

/// The encoded length of a `Sample` without its tag and length.
pub(super) const fn sample_len(time_ms: i64) -> usize {
    9 + 1 + varint_len(time_ms.cast_unsigned())
}

/// Appends `TimeSeries.samples` with one `Sample`; `bits` are those of the value, so that the
/// stale marker stays what it is.
pub(super) fn put_sample(out: &mut Vec<u8>, bits: u64, time_ms: i64) {
    out.push(TAG_SECOND);
    put_varint(out, sample_len(time_ms) as u64);
    out.push(TAG_FIRST_DOUBLE);
    out.extend_from_slice(&bits.to_le_bytes());
    out.push(TAG_SECOND_VARINT);
    put_varint(out, time_ms.cast_unsigned());
}

/// The kinds of `MetricMetadata.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MetadataType {
    /// A counter.
    Counter = 1,
    /// A gauge.
    Gauge = 2,
    /// A histogram, classic or native.
    Histogram = 3,
    /// A summary.
    Summary = 5,
}

/// What is said of a metric family beside its samples.
pub(super) struct Metadata<'a> {
    /// Its type.
    pub(super) kind: MetadataType,
    /// Its name.
    pub(super) family: &'a str,
    /// What it is, for people.
    pub(super) help: &'a str,
    /// Its unit in words.
    pub(super) unit: &'a str,
}

/// Appends `WriteRequest.metadata` with one `MetricMetadata`.
pub(super) fn put_metadata(out: &mut Vec<u8>, metadata: &Metadata<'_>) {
    let mut body = Vec::with_capacity(16 + metadata.family.len() + metadata.help.len());
    body.push(0x08);
    body.push(metadata.kind as u8);
    put_bytes(&mut body, 0x12, metadata.family.as_bytes());
    put_bytes(&mut body, 0x22, metadata.help.as_bytes());
    put_bytes(&mut body, 0x2a, metadata.unit.as_bytes());
    put_bytes(out, TAG_METADATA, &body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_of_a_varint_is_what_is_written() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
    }

    #[test]
    fn sample_is_as_the_protocol_says() {
        let mut out = Vec::new();
        put_sample(&mut out, 1.5_f64.to_bits(), 300);
        assert_eq!(out, [0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x10, 0xac, 0x02]);
        let mut out = Vec::new();
        put_sample(&mut out, 0, -1);
        assert_eq!(out.len(), 2 + sample_len(-1));
    }
}
