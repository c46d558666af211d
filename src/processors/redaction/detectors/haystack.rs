//! A text that is searched, byte by byte.

/// A text, and how much of it is done with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Haystack<'t> {
    bytes: &'t [u8],
    /// No value begins before this.
    floor: usize,
}

impl<'t> Haystack<'t> {
    pub(super) const fn new(bytes: &'t [u8], floor: usize) -> Self {
        Self { bytes, floor }
    }

    /// The byte there; 0 beyond the end.
    #[inline]
    pub(super) fn at(self, index: usize) -> u8 {
        self.bytes.get(index).copied().unwrap_or_default()
    }

    /// The byte that stands `distance` before `index`; 0 before the beginning.
    #[inline]
    pub(super) fn before(self, index: usize, distance: usize) -> u8 {
        index.checked_sub(distance).map_or(0, |index| self.at(index))
    }

    /// How many bytes there are.
    pub(super) const fn len(self) -> usize {
        self.bytes.len()
    }

    /// These bytes; none if there are not so many.
    pub(super) fn slice(self, start: usize, end: usize) -> &'t [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Whether these bytes stand there.
    #[inline]
    pub(super) fn has(self, index: usize, bytes: &[u8]) -> bool {
        self.bytes.get(index..).is_some_and(|rest| rest.starts_with(bytes))
    }

    /// Where `bytes`, which end before `end`, begin.
    #[inline]
    pub(super) fn start_of(self, end: usize, bytes: &[u8]) -> Option<usize> {
        let start = end.checked_sub(bytes.len()).filter(|start| *start >= self.floor)?;
        (self.bytes.get(start..end) == Some(bytes)).then_some(start)
    }

    /// The end of the bytes from `start` on that are of a kind, `limit` at the most.
    #[inline]
    pub(super) fn run(self, start: usize, limit: usize, is_kind: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(start..).unwrap_or_default();
        start + rest.iter().take(limit).take_while(|byte| is_kind(**byte)).count()
    }

    /// The beginning of the bytes before `end` that are of a kind, `limit` at the most.
    #[inline]
    pub(super) fn run_back(self, end: usize, limit: usize, is_kind: impl Fn(u8) -> bool) -> usize {
        let before = self.bytes.get(self.floor..end).unwrap_or_default();
        end - before.iter().rev().take(limit).take_while(|byte| is_kind(**byte)).count()
    }

    /// The end of the digits from `start` on.
    #[inline]
    pub(super) fn digits_end(self, start: usize) -> usize {
        self.run(start, usize::MAX, |byte| byte.is_ascii_digit())
    }

    /// Whether a number ends before `index`: no letter goes on, and no fraction.
    pub(super) fn is_number_end(self, index: usize) -> bool {
        let next = self.at(index);
        let is_fraction = next == b'.' && self.at(index + 1).is_ascii_digit();
        !is_word(next) && !is_fraction
    }

    /// Whether a number may begin at `index`: it is not in a word, and not a fraction.
    pub(super) fn is_number_start(self, index: usize) -> bool {
        let previous = self.before(index, 1);
        let is_fraction = previous == b'.' && self.before(index, 2).is_ascii_digit();
        !is_word(previous) && !is_fraction
    }
}

/// Letters, digits and `_`; those beyond ASCII too.
#[inline]
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The alphabet of Base64 in URLs, which many tokens have.
#[inline]
pub(super) const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// `byte` as a digit.
#[inline]
pub(super) const fn digit(byte: u8) -> u8 {
    byte.wrapping_sub(b'0')
}
