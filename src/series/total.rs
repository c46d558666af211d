//! Totals of points of any kind, and how they are kept on disk.

use std::io::{self, Read, Write};

use super::{Buckets, ExponentialTotal, HistogramTotal};
use crate::data::wire::Writer;
use crate::data::{DataPoint, NumberValue};

/// What the points of a series add up to.
#[derive(Clone, Debug, PartialEq)]
pub enum Total {
    /// Of a sum.
    Number(NumberValue),
    /// Of a histogram.
    Histogram(Box<HistogramTotal>),
    /// Of an exponential histogram.
    Exponential(Box<ExponentialTotal>),
}

/// Why a point cannot be added to a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotalError {
    /// A histogram with other bounds; a new total must begin.
    #[error("the histogram has other bounds than before")]
    Bounds,
    /// A point of another kind.
    #[error("the point is of another kind than before")]
    Kind,
}

impl Total {
    /// A total of one point; `None` for summaries, which do not add up.
    #[must_use]
    pub fn of(point: &DataPoint<'_>) -> Option<Self> {
        Some(match point {
            DataPoint::Number(point) => Self::Number(point.value()),
            DataPoint::Histogram(point) => Self::Histogram(Box::new(HistogramTotal::of(point))),
            DataPoint::ExponentialHistogram(point) => {
                Self::Exponential(Box::new(ExponentialTotal::of(point)))
            }
            DataPoint::Summary(_) => return None,
        })
    }

    /// Adds a point.
    ///
    /// # Errors
    ///
    /// Fails, and changes nothing, when the point does not add up with those before.
    pub fn add(&mut self, point: &DataPoint<'_>) -> Result<(), TotalError> {
        match (self, point) {
            (Self::Number(total), DataPoint::Number(point)) => {
                *total = add_numbers(*total, point.value());
                Ok(())
            }
            (Self::Histogram(total), DataPoint::Histogram(point)) => {
                total.add(point).then_some(()).ok_or(TotalError::Bounds)
            }
            (Self::Exponential(total), DataPoint::ExponentialHistogram(point)) => {
                total.add(ExponentialTotal::of(point));
                Ok(())
            }
            _ => Err(TotalError::Kind),
        }
    }

    /// Writes the fields of a point that are added up.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Self::Number(NumberValue::Empty) => {}
            Self::Number(NumberValue::Double(number)) => writer.double_field(4, *number),
            Self::Number(NumberValue::Int(number)) => {
                writer.fixed64_field(6, number.cast_unsigned());
            }
            Self::Histogram(total) => total.write(writer),
            Self::Exponential(total) => total.write(writer),
        }
    }

    /// Whether a field of a point is one of those that are added up.
    #[must_use]
    pub const fn owns(&self, number: u32) -> bool {
        match self {
            Self::Number(_) => matches!(number, 4 | 6),
            Self::Histogram(_) => HistogramTotal::owns(number),
            Self::Exponential(_) => ExponentialTotal::owns(number),
        }
    }

    /// The memory that it takes beside itself.
    #[must_use]
    pub const fn heap_bytes(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Histogram(total) => {
                size_of::<HistogramTotal>() + (total.counts.len() + total.bounds.len()) * 8
            }
            Self::Exponential(total) => {
                let num_buckets = total.positive.counts.len() + total.negative.counts.len();
                size_of::<ExponentialTotal>() + num_buckets * 8
            }
        }
    }

    /// Writes it to disk: a byte for the kind, then its numbers, little-endian.
    ///
    /// # Errors
    ///
    /// Fails when `to` does.
    pub fn save(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Number(NumberValue::Empty) => to.write_all(&[0]),
            Self::Number(NumberValue::Int(number)) => {
                to.write_all(&[1])?;
                to.write_all(&number.to_le_bytes())
            }
            Self::Number(NumberValue::Double(number)) => {
                to.write_all(&[2])?;
                to.write_all(&number.to_le_bytes())
            }
            Self::Histogram(total) => {
                to.write_all(&[3])?;
                save_all(to, &[total.count])?;
                save_optional(to, [total.sum, total.min, total.max])?;
                save_list(to, &total.counts)?;
                let bounds: Vec<u64> = total.bounds.iter().map(|bound| bound.to_bits()).collect();
                save_list(to, &bounds)
            }
            Self::Exponential(total) => {
                to.write_all(&[4])?;
                save_all(to, &[total.count, total.zero_count, total.zero_threshold.to_bits()])?;
                save_optional(to, [total.sum, total.min, total.max])?;
                to.write_all(&total.scale.to_le_bytes())?;
                for buckets in [&total.positive, &total.negative] {
                    to.write_all(&buckets.offset.to_le_bytes())?;
                    save_list(to, &buckets.counts)?;
                }
                Ok(())
            }
        }
    }

    /// Reads what [`Total::save`] wrote.
    ///
    /// # Errors
    ///
    /// Fails when `from` does, ends early, or holds something else.
    pub fn restore(from: &mut dyn Read) -> io::Result<Self> {
        let [kind] = restore_bytes(from)?;
        Ok(match kind {
            0 => Self::Number(NumberValue::Empty),
            1 => Self::Number(NumberValue::Int(i64::from_le_bytes(restore_bytes(from)?))),
            2 => Self::Number(NumberValue::Double(f64::from_le_bytes(restore_bytes(from)?))),
            3 => {
                let count = restore_u64(from)?;
                let [sum, min, max] = restore_optional(from)?;
                let counts = restore_list(from)?;
                let bounds = restore_list(from)?.into_iter().map(f64::from_bits).collect();
                Self::Histogram(Box::new(HistogramTotal { count, sum, min, max, counts, bounds }))
            }
            4 => {
                let (count, zero_count) = (restore_u64(from)?, restore_u64(from)?);
                let zero_threshold = f64::from_bits(restore_u64(from)?);
                let [sum, min, max] = restore_optional(from)?;
                let scale = i32::from_le_bytes(restore_bytes(from)?);
                let mut buckets = || {
                    let offset = i32::from_le_bytes(restore_bytes(from)?);
                    io::Result::Ok(Buckets { offset, counts: restore_list(from)? })
                };
                let (positive, negative) = (buckets()?, buckets()?);
                Self::Exponential(Box::new(ExponentialTotal {
                    count,
                    sum,
                    min,
                    max,
                    scale,
                    zero_count,
                    zero_threshold,
                    positive,
                    negative,
                }))
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "unknown kind of total")),
        })
    }
}

/// The sum of two numbers: whole if both are, at most what 64 bits hold.
#[must_use]
pub const fn add_numbers(left: NumberValue, right: NumberValue) -> NumberValue {
    match (left, right) {
        (number, NumberValue::Empty) | (NumberValue::Empty, number) => number,
        (NumberValue::Int(left), NumberValue::Int(right)) => {
            NumberValue::Int(left.saturating_add(right))
        }
        (left, right) => NumberValue::Double(left.as_f64() + right.as_f64()),
    }
}

fn save_all(to: &mut dyn Write, numbers: &[u64]) -> io::Result<()> {
    numbers.iter().try_for_each(|number| to.write_all(&number.to_le_bytes()))
}

fn save_list(to: &mut dyn Write, numbers: &[u64]) -> io::Result<()> {
    save_all(to, &[numbers.len() as u64])?;
    save_all(to, numbers)
}

fn save_optional(to: &mut dyn Write, numbers: [Option<f64>; 3]) -> io::Result<()> {
    for number in numbers {
        to.write_all(&[u8::from(number.is_some())])?;
        save_all(to, &[number.unwrap_or_default().to_bits()])?;
    }
    Ok(())
}

fn restore_bytes<const N: usize>(from: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn restore_u64(from: &mut dyn Read) -> io::Result<u64> {
    restore_bytes(from).map(u64::from_le_bytes)
}

/// Takes no more memory than there is to read, whatever the length says.
fn restore_list(from: &mut dyn Read) -> io::Result<Vec<u64>> {
    let length = restore_u64(from)?;
    let mut numbers = Vec::new();
    for _ in 0..length {
        numbers.push(restore_u64(from)?);
    }
    Ok(numbers)
}

fn restore_optional(from: &mut dyn Read) -> io::Result<[Option<f64>; 3]> {
    let mut numbers = [None; 3];
    for number in &mut numbers {
        let [is_there] = restore_bytes(from)?;
        let bits = restore_u64(from)?;
        *number = (is_there != 0).then_some(f64::from_bits(bits));
    }
    Ok(numbers)
}
