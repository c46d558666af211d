//! Small numbers as Parquet packs them: runs of one number, and groups of eight in a row.
//!
//! The format: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>, "Run Length
//! Encoding / Bit-Packing Hybrid".

/// So many numbers are packed at a time.
const GROUP: usize = 8;

/// Rows of numbers that come again more often are packed so many times and then copied. After that
/// many, the last bytes that eight of them take are of these numbers alone.
const PACKED_TIMES: usize = 2 * GROUP;

/// Packs numbers of a fixed width.
#[derive(Debug)]
pub(super) struct Hybrid {
    /// The bits of a number, at most 32.
    width: u32,
    out: Vec<u8>,
    /// A number that came last, and how many times; not in what is below.
    run: (u32, usize),
    /// Numbers since the last run, packed.
    packed: Vec<u8>,
    num_packed: usize,
    /// Bits that make no byte yet; the others are 0.
    rest: u64,
    rest_bits: u32,
}

impl Hybrid {
    /// Appends to `out` numbers that are less than 2 to the power of `width`.
    pub(super) const fn new(width: u32, out: Vec<u8>) -> Self {
        Self { width, out, run: (0, 0), packed: Vec::new(), num_packed: 0, rest: 0, rest_bits: 0 }
    }

    /// Adds a number so many times.
    pub(super) fn push(&mut self, number: u32, times: usize) {
        if self.run.0 != number {
            self.settle();
            self.run.0 = number;
        }
        self.run.1 += times;
    }

    /// Adds numbers in a row, so many times.
    pub(super) fn push_row(&mut self, numbers: &[u32], times: usize) {
        let Some((first, others)) = numbers.split_first() else { return };
        if others.iter().all(|number| number == first) {
            return self.push(*first, numbers.len() * times);
        }
        self.settle();
        let num_packed = if times > PACKED_TIMES + GROUP { PACKED_TIMES } else { times };
        self.pack_row(numbers, num_packed);
        let num_groups = (times - num_packed) / GROUP;
        // Eight rows are whole bytes, whatever bits there were before.
        let size = numbers.len() * self.width as usize;
        let start = self.packed.len() - if num_groups > 0 { size } else { 0 };
        self.packed.reserve(size * num_groups);
        for _ in 0..num_groups {
            self.packed.extend_from_within(start..start + size);
        }
        self.num_packed += num_groups * GROUP * numbers.len();
        self.pack_row(numbers, (times - num_packed) % GROUP);
    }

    /// Ends; answers what it appended to.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.settle();
        self.end_packed();
        self.out
    }

    /// Writes the run.
    fn settle(&mut self) {
        let (number, mut times) = self.run;
        self.run.1 = 0;
        while times > 0 && !self.num_packed.is_multiple_of(GROUP) {
            self.pack(number);
            times -= 1;
        }
        if times < GROUP {
            return (0..times).for_each(|_| self.pack(number));
        }
        self.end_packed();
        self.push_header((times as u64) << 1);
        let num_bytes = self.width.div_ceil(u8::BITS) as usize;
        self.out.extend(number.to_le_bytes().iter().take(num_bytes));
    }

    fn pack_row(&mut self, numbers: &[u32], times: usize) {
        for _ in 0..times {
            numbers.iter().for_each(|number| self.pack(*number));
        }
    }

    fn pack(&mut self, number: u32) {
        self.rest |= u64::from(number) << self.rest_bits;
        self.rest_bits += self.width;
        self.num_packed += 1;
        while self.rest_bits >= u8::BITS {
            self.packed.extend(self.rest.to_le_bytes().first());
            self.rest >>= u8::BITS;
            self.rest_bits -= u8::BITS;
        }
    }

    /// Writes what is packed, in whole groups.
    fn end_packed(&mut self) {
        while !self.num_packed.is_multiple_of(GROUP) {
            self.pack(0);
        }
        if self.num_packed > 0 {
            self.push_header(((self.num_packed / GROUP) as u64) << 1 | 1);
            self.out.append(&mut self.packed);
            self.num_packed = 0;
        }
    }

    /// A number of which each byte holds seven bits, the least first.
    fn push_header(&mut self, mut number: u64) {
        while number > 0x7f {
            self.out.extend(number.to_le_bytes().first().map(|byte| byte | 0x80));
            number >>= 7;
        }
        self.out.extend(number.to_le_bytes().first());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `count` numbers, as the specification says.
    fn read(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let (mut header, mut shift) = (0_usize, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
            let bit = |at: usize| u32::from(bytes[at / 8] >> (at % 8) & 1);
            let used = if header & 1 == 1 {
                for number in 0..(header >> 1) * 8 {
                    let bits = (0..width as usize)
                        .map(|index| (index, bit(number * width as usize + index)));
                    numbers.push(bits.fold(0, |sum, (index, bit)| sum | bit << index));
                }
                (header >> 1) * width as usize
            } else {
                let used = width.div_ceil(8) as usize;
                let value = (0..used).fold(0, |sum, at| sum | u32::from(bytes[at]) << (8 * at));
                numbers.extend(std::iter::repeat_n(value, header >> 1));
                used
            };
            bytes = &bytes[used..];
        }
        assert!(bytes.is_empty());
        assert!(numbers.len() < count + GROUP);
        assert!(numbers.drain(count..).all(|padding| padding == 0));
        numbers
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_back(
            width in 0_u32..=32,
            rows in prop::collection::vec(
                (prop::collection::vec(any::<u32>(), 0..12), 0_usize..200),
                0..12,
            ),
        ) {
            let mask = u32::try_from((1_u64 << width) - 1).unwrap();
            let mut hybrid = Hybrid::new(width, vec![7]);
            let mut expected = Vec::new();
            for (mut numbers, times) in rows {
                numbers.iter_mut().for_each(|number| *number &= mask);
                hybrid.push_row(&numbers, times);
                expected.extend(std::iter::repeat_n(numbers, times).flatten());
            }
            let bytes = hybrid.finish();
            prop_assert_eq!(bytes[0], 7);
            prop_assert_eq!(read(&bytes[1..], width, expected.len()), expected);
        }
    }

    #[test]
    fn one_number_takes_a_few_bytes_however_often_it_comes() {
        let mut hybrid = Hybrid::new(1, Vec::new());
        (0..1000).for_each(|_| hybrid.push(1, 100));
        assert_eq!(hybrid.finish().len(), 4);
    }
}
