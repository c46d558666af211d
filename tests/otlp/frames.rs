//! HTTP/2 by hand (RFC 9113), for what no client library would send.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::agent::SOON;
use super::records::LOGS;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a client sends first, with empty settings.
pub const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame (RFC 9113, section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field that is not kept in the table (RFC 7541, section 6.2.2), with a name and value of less
/// than 127 bytes.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// The fields of a call that exports logs.
pub fn call_fields() -> Vec<u8> {
    let path = format!("/{LOGS}/Export");
    [
        // `:method: POST`, `:scheme: http`.
        vec![0x83, 0x86],
        literal(":path", &path),
        literal(":authority", "a"),
        literal("content-type", "application/grpc"),
    ]
    .concat()
}

/// Reads frames up to one of `kind`, and gives the payload of that.
pub async fn until(stream: &mut TcpStream, kind: u8) -> Vec<u8> {
    let reading = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.expect("a frame");
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if head[3] == kind {
                return payload;
            }
        }
    };
    timeout(SOON, reading).await.expect("the frame comes")
}
