//! Addresses of the Internet, and card numbers.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::{Answer, Refusal};

/// A network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    num_bits: u32,
}

impl Network {
    /// Reads an address with its number of leading bits.
    ///
    /// # Errors
    ///
    /// Fails for what is none.
    pub fn parse(text: &str) -> Answer<Self> {
        let refuse = || Refusal::new(format!("`{text}` is not a network such as `10.0.0.0/8`"));
        let (address, num_bits) = text.split_once('/').ok_or_else(refuse)?;
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let is_plain = num_bits.bytes().all(|digit| digit.is_ascii_digit());
        let num_bits: u32 = num_bits.parse().map_err(|_| refuse())?;
        let largest = if address.is_ipv4() { 32 } else { 128 };
        if num_bits > largest || !is_plain {
            return Err(refuse());
        }
        Ok(Self { address, num_bits })
    }

    /// Whether the address is in the network. An IPv4 address within IPv6 is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - self.num_bits;
                (own.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or_default() == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - self.num_bits;
                (own.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or_default() == 0
            }
            _ => false,
        }
    }
}

/// Reads an address.
///
/// # Errors
///
/// Fails for what is none.
pub fn parse_address(text: &str) -> Answer<IpAddr> {
    text.parse().map_err(|_| Refusal::new(format!("`{text}` is not an IP address")))
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct End<'t> {
    /// Its address.
    pub address: &'t str,
    /// Its port.
    pub port: i64,
}

/// The Community ID of a connection, which is the same for both directions.
///
/// As the Collector makes it: the two ports are hashed for every protocol, those of ICMP too.
///
/// # Errors
///
/// Fails for wrong addresses, ports, protocols or seeds.
pub fn community_id(source: End<'_>, target: End<'_>, protocol: &str, seed: i64) -> Answer<String> {
    let protocol = match protocol {
        "ICMP" => 1,
        "TCP" => 6,
        "UDP" => 17,
        "RSVP" => 46,
        "ICMP6" => 58,
        "SCTP" => 132,
        _ => {
            let known = "use ICMP, TCP, UDP, RSVP, ICMP6 or SCTP";
            return Err(Refusal::new(format!("there is no protocol `{protocol}` here: {known}")));
        }
    };
    let number = |value: i64, name: &str| {
        u16::try_from(value)
            .map_err(|_| Refusal::new(format!("the {name} must be 0 to 65535, not {value}")))
    };
    let mut first = (octets(source.address)?, number(source.port, "source port")?);
    let mut second = (octets(target.address)?, number(target.port, "destination port")?);
    let key = |end: &(Vec<u8>, u16)| (end.0.len(), end.0.clone(), end.1);
    if key(&first) > key(&second) {
        std::mem::swap(&mut first, &mut second);
    }
    let mut hash = Sha1::new();
    hash.update(number(seed, "seed")?.to_be_bytes());
    hash.update(&first.0);
    hash.update(&second.0);
    hash.update([protocol, 0]);
    hash.update(first.1.to_be_bytes());
    hash.update(second.1.to_be_bytes());
    Ok(format!("1:{}", STANDARD.encode(hash.finalize())))
}

fn octets(text: &str) -> Answer<Vec<u8>> {
    Ok(match parse_address(text)?.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    })
}

/// Whether a text is digits of which the last is the check digit of those before, by Luhn.
#[must_use]
pub fn is_valid_luhn(digits: &str) -> bool {
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return false;
    }
    let weighted = |(index, digit): (usize, u8)| {
        let digit = u32::from(digit - b'0');
        let doubled = digit * 2;
        match index % 2 {
            0 => digit,
            _ if doubled > 9 => doubled - 9,
            _ => doubled,
        }
    };
    digits.bytes().rev().enumerate().map(weighted).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        let contains = |network, address| {
            Network::parse(network).unwrap().contains(parse_address(address).unwrap())
        };
        assert!(contains("192.168.0.0/16", "192.168.255.1"));
        assert!(contains("192.168.7.7/16", "192.168.255.1"));
        assert!(!contains("192.168.0.0/16", "192.169.0.1"));
        assert!(contains("0.0.0.0/0", "8.8.8.8"));
        assert!(contains("10.0.0.1/32", "::ffff:10.0.0.1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1"));
        assert!(!contains("::/0", "10.0.0.1"));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/+8", "10.0.0/8", ""] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn community_ids_are_those_of_the_collector() {
        // The Collector's tests of CommunityID.
        let cases = [
            ("1.2.3.4", 12345, "5.6.7.8", 80, "TCP", 0, "1:0by3b/tE95hcOzccyt6d4kjgbZc="),
            ("5.6.7.8", 80, "1.2.3.4", 12345, "TCP", 0, "1:0by3b/tE95hcOzccyt6d4kjgbZc="),
            ("192.168.1.1", 53, "10.10.10.10", 53000, "UDP", 0, "1:gQ05/45srnixHs8V/2ejpkxhBwg="),
            ("10.10.10.10", 53000, "192.168.1.1", 53, "ICMP", 0, "1:9TGPWejPFuBlKrHuVcM3iaA8hf8="),
            ("10.10.10.10", 53, "192.168.1.1", 53000, "RSVP", 0, "1:rkXhRghBvx2yf3zgDnSHuJ35XaY="),
            ("192.168.1.1", 53, "10.10.10.10", 53000, "ICMP6", 0, "1:bchQ2SAoVf2Iq1XdGBXObLJ2i64="),
            ("192.168.1.1", 53, "10.10.10.10", 53000, "SCTP", 0, "1:zo1kfEyhghMaeU7tQDCE2G+ITQc="),
            ("2001:db8::1", 8080, "2001:db8::2", 443, "TCP", 0, "1:c5m26SNBLmvfaBQJNWKXZwUGGcM="),
            (
                "192.168.1.1",
                12345,
                "192.168.1.2",
                80,
                "TCP",
                1234,
                "1:v1n8p4IZW9jXIJnFANLbRU2ahdU=",
            ),
            ("10.0.0.2", 80, "10.0.0.1", 12345, "TCP", 0, "1:CpuULklTENbGdRpvp7gNcQd5ZqA="),
            ("127.0.0.1", 8080, "127.0.0.1", 8080, "TCP", 0, "1:sG2vk7rcZ12ZxPg+nnwljgdVEGw="),
            ("2001:db8::1", 8080, "10.1.1.1", 443, "TCP", 0, "1:T1e3va6jTSWaSKkG3k4dnZq5VM8="),
            ("10.1.1.2", 8081, "10.1.1.2", 8080, "TCP", 0, "1:3byUvmBpOu8KHoTRr4eN5AjTQEU="),
        ];
        for (source, port, target, target_port, protocol, seed, id) in cases {
            let source = End { address: source, port };
            let target = End { address: target, port: target_port };
            assert_eq!(community_id(source, target, protocol, seed).as_deref(), Ok(id));
        }
        let end = End { address: "10.0.0.1", port: 1 };
        assert!(community_id(End { address: "invalid-ip", ..end }, end, "TCP", 0).is_err());
        assert!(community_id(end, end, "UNKNOWN", 0).is_err());
        assert!(community_id(End { port: 65536, ..end }, end, "TCP", 0).is_err());
        assert!(community_id(end, end, "TCP", -1).is_err());
    }

    #[test]
    fn check_digits_are_checked() {
        // The Collector's documentation of IsValidLuhn, and a test number of card issuers.
        assert!(is_valid_luhn("17893729974"));
        assert!(is_valid_luhn("4111111111111111"));
        assert!(!is_valid_luhn("17893729975"));
        assert!(!is_valid_luhn("4111 1111"));
        assert!(!is_valid_luhn(""));
    }
}
