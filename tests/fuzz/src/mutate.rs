//! Making new inputs of old ones.

use rand::Rng;
use rand::rngs::SmallRng;

/// Largest input; larger ones find nothing more, only slower.
const MAX_BYTES: usize = 8 * 1024;

/// Numbers at which lengths and offsets go wrong.
const ODD_BYTES: [u8; 9] = [0, 1, 0x7f, 0x80, 0xff, 0x08, 0x0a, 0x12, 0xfe];

/// Changes inputs, knowing words that mean something to the target.
pub struct Mutator {
    tokens: Vec<&'static [u8]>,
}

/// A random place among `length`, which is not 0.
pub fn index(length: usize, random: &mut SmallRng) -> usize {
    random.random_range(0..length)
}

impl Mutator {
    pub fn new(tokens: &[&'static str]) -> Self {
        Self { tokens: tokens.iter().map(|token| token.as_bytes()).collect() }
    }

    /// A change, or a few, of one of `kept`, which is not empty.
    pub fn mutate(&self, kept: &[Vec<u8>], random: &mut SmallRng) -> Vec<u8> {
        let mut input = kept[index(kept.len(), random)].clone();
        let num_changes = 1 << random.random_range(0..4_u32);
        for _ in 0..random.random_range(1..=num_changes) {
            self.change(&mut input, kept, random);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn change(&self, input: &mut Vec<u8>, kept: &[Vec<u8>], random: &mut SmallRng) {
        let place = random.random_range(0..=input.len());
        let (start, end) = piece(input.len(), random);
        match random.random_range(0..10) {
            0 if place < input.len() => input[place] ^= 1 << random.random_range(0..8),
            1 if place < input.len() => input[place] = random.random(),
            2 if place < input.len() => {
                input[place] = ODD_BYTES[index(ODD_BYTES.len(), random)];
            }
            3 if place < input.len() => {
                let step: u8 = random.random_range(0..3);
                input[place] = input[place].wrapping_add(step).wrapping_sub(1);
            }
            4 => drop(input.drain(start..end)),
            5 => {
                let piece = input[start..end].to_vec();
                insert(input, place, &piece);
            }
            6 => insert(input, place, &varint(random)),
            7 if !self.tokens.is_empty() => {
                insert(input, place, self.tokens[index(self.tokens.len(), random)]);
            }
            8 => {
                let other = &kept[index(kept.len(), random)];
                let (start, end) = piece(other.len(), random);
                insert(input, place, &other[start..end]);
            }
            _ => input.truncate(place),
        }
    }
}

/// A piece of what has `length`, short ones rather than long ones.
fn piece(length: usize, random: &mut SmallRng) -> (usize, usize) {
    let start = random.random_range(0..=length);
    let longest = 1_usize << random.random_range(0..12_u32);
    let end = start + random.random_range(0..=longest.min(length - start));
    (start, end)
}

fn insert(input: &mut Vec<u8>, place: usize, piece: &[u8]) {
    input.splice(place..place, piece.iter().copied());
}

/// A number as protobuf writes it, of any length.
fn varint(random: &mut SmallRng) -> Vec<u8> {
    let mut value: u64 = random.random::<u64>() >> random.random_range(0..64_u32);
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
