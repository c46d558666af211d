//! What goes over the wire: a compressed `WriteRequest`, and what is needed to halve it.

use std::fmt;

use bytes::Bytes;
use prost::Message;

use crate::codec::remote_write::{SeriesEnd, Write};
use crate::component::{Lane, Payload, Request};
use crate::data::Parts;

/// A `WriteRequest` in one snappy block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The compressed message.
    pub(super) body: Bytes,
    /// Where each series ends in the message before compression.
    pub(super) series: Vec<SeriesEnd>,
}

impl Block {
    /// Compresses a message.
    pub(super) fn try_new(write: Write) -> Result<Self, snap::Error> {
        let body = snap::raw::Encoder::new().compress_vec(&write.body)?;
        Ok(Self { body: Bytes::from(body), series: write.series })
    }

    /// The first half of the series and the second; `None` for a single one.
    fn halves(&self) -> Option<[Self; 2]> {
        let middle = self.series.len() / 2;
        let cut = self.series.get(middle.checked_sub(1)?)?.end;
        let message = snap::raw::Decoder::new().decompress_vec(&self.body).ok()?;
        let (first, second) = message.split_at_checked(cut as usize)?;
        let (first_ends, second_ends) = self.series.split_at_checked(middle)?;
        let moved = |series: &SeriesEnd| SeriesEnd { end: series.end - cut, ..*series };
        let lane = 0;
        let first = Write { lane, body: first.to_vec(), series: first_ends.to_vec() };
        let series = second_ends.iter().map(moved).collect();
        let second = Write { lane, body: second.to_vec(), series };
        Some([Self::try_new(first).ok()?, Self::try_new(second).ok()?])
    }

    /// The name and labels of the series, as PromQL writes them; `None` unless it is alone.
    pub(super) fn only_series(&self) -> Option<String> {
        if self.series.len() != 1 {
            return None;
        }
        let message = snap::raw::Decoder::new().decompress_vec(&self.body).ok()?;
        let series = WriteRequest::decode(message.as_slice()).ok()?.timeseries.pop()?;
        Some(series.to_string())
    }

    /// The request of this block.
    pub(super) fn into_request(self, lane: Lane, parts: Parts) -> Request {
        Request {
            lane,
            num_records: self.series.iter().map(|series| series.num_records as usize).sum(),
            size_bytes: self.body.len(),
            parts,
            payload: Payload::Native(Box::new(self)),
        }
    }

    /// The block of a request.
    pub(super) fn of(request: &Request) -> Option<&Self> {
        match &request.payload {
            Payload::Native(native) => native.downcast_ref(),
            Payload::Bytes(_) | Payload::Batch(_) => None,
        }
    }
}

/// As much of the message as is told of a refused series.
#[derive(Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<Series>,
}

#[derive(Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
}

#[derive(Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// As PromQL selects it: `name{label="value"}`.
impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_name = |label: &&Label| label.name == "__name__";
        if let Some(name) = self.labels.iter().find(is_name) {
            formatter.write_str(&name.value)?;
        }
        formatter.write_str("{")?;
        for (index, label) in self.labels.iter().filter(|label| !is_name(label)).enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(formatter, "{separator}{}={:?}", label.name, label.value)?;
        }
        formatter.write_str("}")
    }
}

/// Halves a request by its series; gives it back when it has a single one.
#[expect(clippy::result_large_err, reason = "the request itself is given back")]
pub(super) fn halve(request: Request) -> Result<[Request; 2], Request> {
    match Block::of(&request).and_then(Block::halves) {
        Some(halves) => {
            Ok(halves.map(|half| half.into_request(request.lane, request.parts.clone())))
        }
        None => Err(request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(num_series: u8) -> Request {
        let series =
            (1..=num_series).map(|number| SeriesEnd { end: 2 * u32::from(number), num_records: 1 });
        let body = (0..num_series).flat_map(|number| [number, number]).collect();
        let write = Write { lane: 3, body, series: series.collect() };
        Block::try_new(write).unwrap().into_request(Lane::Key(3), Parts::new())
    }

    fn message(request: &Request) -> Vec<u8> {
        snap::raw::Decoder::new().decompress_vec(&Block::of(request).unwrap().body).unwrap()
    }

    #[test]
    fn halves_have_every_series_once_and_stay_in_the_lane() {
        let [first, second] = halve(request(5)).unwrap();
        assert_eq!((message(&first), message(&second)), (vec![0, 0, 1, 1], vec![2, 2, 3, 3, 4, 4]));
        assert_eq!((first.num_records, second.num_records), (2, 3));
        assert_eq!((first.lane, second.lane), (Lane::Key(3), Lane::Key(3)));
        let [second, third] = halve(second).unwrap();
        assert_eq!((message(&second), message(&third)), (vec![2, 2], vec![3, 3, 4, 4]));
    }

    #[test]
    fn single_series_is_given_back() {
        assert_eq!(halve(request(1)).unwrap_err().num_records, 1);
    }
}
