//! The door takes what prost takes, but for its documented rules.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::arbitrary::{UNKNOWN, noisy_request};
use super::{from_views, normal_batch, normal_form};
use crate::data::wire::Writer;
use crate::data::{Admitted, Batch, Context, DoorError, DoorLimits, InvalidUtf8, Signal};

fn open(signal: Signal, bytes: &[u8], limits: &DoorLimits) -> Result<Admitted, DoorError> {
    Batch::try_new(signal, Bytes::copy_from_slice(bytes), Arc::new(Context::default()), limits)
}

/// Whether the door may refuse what prost takes.
fn is_documented(error: &DoorError) -> bool {
    matches!(
        error,
        DoorError::Group { .. }
            | DoorError::TooDeep { .. }
            | DoorError::IdLength { .. }
            | DoorError::TooManyRecords { .. }
            | DoorError::TooManyRepeated { .. }
    )
}

fn check_against_prost(signal: Signal, bytes: &[u8]) -> Result<(), TestCaseError> {
    let refusing = DoorLimits { invalid_utf8: InvalidUtf8::Refuse, ..DoorLimits::default() };
    let by_prost = normal_form(signal, bytes);
    match (open(signal, bytes, &refusing), &by_prost) {
        (Ok(admitted), Ok(expected)) => {
            prop_assert_eq!(admitted.num_rejected, 0);
            prop_assert_eq!(&normal_batch(&admitted.batch), expected);
        }
        (Ok(_), Err(error)) => prop_assert!(false, "prost refuses it: {}", error),
        (Err(error), Ok(_)) => prop_assert!(is_documented(&error), "prost takes it: {}", error),
        (Err(_), Err(_)) => {}
    }
    let replacing = DoorLimits::default();
    if let Ok(admitted) = open(signal, bytes, &replacing) {
        // Repaired or not, it is valid now and read without panic.
        let _ = normal_batch(&admitted.batch);
        let _ = from_views::encode(&admitted.batch);
        prop_assert_eq!(admitted.num_invalid_utf8 == 0, by_prost.is_ok());
    }
    Ok(())
}

proptest! {
    #[test]
    fn valid_requests_are_taken_as_prost_takes_them((signal, bytes) in noisy_request()) {
        check_against_prost(signal, &bytes)?;
    }

    #[test]
    fn mutated_requests_are_taken_if_prost_takes_them(
        (signal, bytes) in noisy_request(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = bytes;
        for (index, byte) in changes {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
        }
        check_against_prost(signal, &bytes)?;
    }

    #[test]
    fn requests_read_as_another_signal_are_taken_if_prost_takes_them(
        (_, bytes) in noisy_request(),
        other in 0..3_usize,
    ) {
        check_against_prost(Signal::ALL[other], &bytes)?;
    }

    #[test]
    fn truncated_requests_are_taken_if_prost_takes_them(
        (signal, bytes) in noisy_request(),
        end in any::<prop::sample::Index>(),
    ) {
        let end = end.index(bytes.len() + 1);
        check_against_prost(signal, &bytes[..end])?;
    }

    #[test]
    fn unknown_fields_pass_the_door((signal, bytes) in noisy_request()) {
        let Ok(admitted) = open(signal, &bytes, &DoorLimits::default()) else {
            return Ok(());
        };
        // Only what another member of a `oneof` overrules may go.
        prop_assert!(count(&admitted.batch.merged_bytes()) <= count(&bytes));
        if admitted.batch.chunks()[0] == bytes {
            prop_assert_eq!(count(&admitted.batch.merged_bytes()), count(&bytes));
        }
    }
}

fn count(bytes: &[u8]) -> usize {
    bytes.windows(UNKNOWN.len()).filter(|window| *window == UNKNOWN).count()
}

/// A logs request with one `ResourceLogs`, whose fields `write` writes.
fn log_request_of(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(1, write);
    writer.into_vec()
}

/// A logs request with one record, whose fields `write` writes.
fn log_request(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(1, |resource| {
        resource.message(2, |scope| scope.message(2, write));
    });
    writer.into_vec()
}

/// A body of `depth` arrays, one in the other.
fn nested_body(depth: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..depth {
        let mut array = Writer::default();
        array.bytes_field(1, &value);
        let mut outer = Writer::default();
        outer.bytes_field(5, array.as_slice());
        value = outer.into_vec();
    }
    value
}

/// The short cut for plain attributes must refuse what prost refuses.
#[test]
fn short_values_of_attributes_are_taken_if_prost_takes_them() {
    let alphabet = [0x00, 0x01, 0x02, 0x0a, 0x10, 0x12, 0x18, 0x21, 0x7f, 0x80, 0xff];
    for length in 0..5_u32 {
        for index in 0..alphabet.len().pow(length) {
            let digits = (0..length).map(|digit| index / alphabet.len().pow(digit));
            let value: Vec<u8> = digits.map(|digit| alphabet[digit % alphabet.len()]).collect();
            let whole = log_request(|record| {
                record.message(6, |pair| {
                    pair.str_field(1, "key");
                    pair.bytes_field(2, &value);
                });
            });
            let bare = log_request(|record| record.bytes_field(6, &value));
            for bytes in [whole, bare] {
                check_against_prost(Signal::Logs, &bytes).expect("the same acceptance");
            }
        }
    }
}

#[test]
fn wrong_length_of_an_id_is_refused_with_its_place() {
    let bytes = log_request(|record| record.bytes_field(9, &[1; 5]));
    let error = open(Signal::Logs, &bytes, &DoorLimits::default()).expect_err("5 bytes");
    assert_eq!(error, DoorError::IdLength { field: "trace_id", length: 5, offset: 8 });
    assert_eq!(error.to_string(), "`trace_id` at byte 8 has 5 bytes");
    let empty = log_request(|record| record.bytes_field(9, &[]));
    assert!(open(Signal::Logs, &empty, &DoorLimits::default()).is_ok());
}

#[test]
fn length_past_the_end_is_refused_before_memory_is_taken() {
    let bytes = [0x0a, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
    let error = open(Signal::Logs, &bytes, &DoorLimits::default()).expect_err("2 GiB");
    assert_eq!(error, DoorError::Length { length: 0x7fff_ffff, room: 1, offset: 1 });
}

#[test]
fn group_is_refused() {
    let bytes = log_request(|record| record.raw(&[0xa3, 0x06, 0xa4, 0x06]));
    let error = open(Signal::Logs, &bytes, &DoorLimits::default()).expect_err("a group");
    assert_eq!(error, DoorError::Group { offset: 6 });
}

#[test]
fn nesting_over_the_limit_is_refused() {
    // A request's body is on level 4, each array adds two.
    let fits = log_request(|record| record.bytes_field(5, &nested_body(30)));
    assert!(open(Signal::Logs, &fits, &DoorLimits::default()).is_ok());
    let bytes = log_request(|record| record.bytes_field(5, &nested_body(31)));
    let error = open(Signal::Logs, &bytes, &DoorLimits::default()).expect_err("too deep");
    assert!(matches!(error, DoorError::TooDeep { limit: 64, .. }), "{error}");
    let bytes = log_request(|record| record.bytes_field(5, &nested_body(10_000)));
    let limits = DoorLimits { max_nesting: usize::MAX, ..DoorLimits::default() };
    let error = open(Signal::Logs, &bytes, &limits).expect_err("too deep");
    assert!(matches!(error, DoorError::TooDeep { limit: 96, .. }), "{error}");
}

#[test]
fn invalid_utf8_is_replaced_and_counted_or_refused() {
    let bytes = log_request(|record| {
        record.bytes_field(3, b"a\xffb");
        record.message(6, |pair| {
            pair.bytes_field(1, b"k\xc3");
            pair.message(2, |value| value.bytes_field(1, b"good"));
        });
    });
    let admitted = open(Signal::Logs, &bytes, &DoorLimits::default()).expect("repaired");
    assert_eq!((admitted.num_invalid_utf8, admitted.num_rejected), (2, 0));
    let item = admitted.batch.logs().items().next().expect("one record");
    assert_eq!(item.record.severity_text(), "a\u{fffd}b");
    assert_eq!(item.record.attributes().get("k\u{fffd}").and_then(|v| v.as_str()), Some("good"));
    let limits = DoorLimits { invalid_utf8: InvalidUtf8::Refuse, ..DoorLimits::default() };
    let error = open(Signal::Logs, &bytes, &limits).expect_err("refused");
    assert_eq!(error, DoorError::Utf8 { field: "severity_text", offset: 8 });
}

#[test]
fn record_over_a_limit_is_rejected_alone() {
    let mut writer = Writer::default();
    writer.message(1, |resource| {
        resource.message(2, |scope| {
            scope.message(2, |record| record.str_field(3, "fits"));
            scope.message(2, |record| record.str_field(3, &"x".repeat(200)));
            scope.message(2, |record| {
                for _ in 0..11 {
                    record.message(6, |pair| pair.str_field(1, "a"));
                }
            });
        });
    });
    let limits = DoorLimits { max_record_bytes: 100, max_attributes: 10, ..DoorLimits::default() };
    let admitted = open(Signal::Logs, writer.as_slice(), &limits).expect("partly taken");
    assert_eq!((admitted.num_rejected, admitted.batch.num_records()), (2, 1));
    assert_eq!(admitted.reason.as_deref(), Some("a record has more than 100 bytes"));
    let texts: Vec<&str> =
        admitted.batch.logs().items().map(|item| item.record.severity_text()).collect();
    assert_eq!(texts, ["fits"]);
}

#[test]
fn records_of_a_resource_over_a_limit_are_rejected() {
    let mut writer = Writer::default();
    for num_attributes in [11, 1] {
        writer.message(1, |group| {
            group.message(1, |resource| {
                for _ in 0..num_attributes {
                    resource.message(1, |pair| pair.str_field(1, "a"));
                }
            });
            group.message(2, |scope| {
                scope.message(2, |_| {});
                scope.message(2, |_| {});
            });
        });
    }
    let limits = DoorLimits { max_attributes: 10, ..DoorLimits::default() };
    let admitted = open(Signal::Logs, writer.as_slice(), &limits).expect("partly taken");
    assert_eq!((admitted.num_rejected, admitted.batch.num_records()), (2, 2));
    assert_eq!(admitted.reason.as_deref(), Some("a Resource has more than 10 attributes"));
}

#[test]
fn records_of_what_they_share_are_rejected_when_it_is_too_large() {
    let shared = |size: usize, also: usize, url: usize| {
        log_request_of(|group| {
            group.message(1, |resource| {
                resource.message(1, |pair| pair.str_field(1, &"r".repeat(size)));
            });
            if also > 0 {
                group.message(1, |resource| resource.bytes_field(1000, &vec![0; also]));
            }
            group.message(2, |scope| {
                scope.message(1, |scope| scope.str_field(1, &"s".repeat(size)));
                scope.message(2, |_| {});
                scope.message(2, |record| record.str_field(3, &"x".repeat(200)));
                scope.str_field(3, &"u".repeat(url));
            });
        })
    };
    let limits = DoorLimits { max_resource_bytes: 100, ..DoorLimits::default() };
    let cases = [
        (shared(90, 0, 100), 0, None),
        (shared(98, 0, 0), 2, Some("a Resource has more than 100 bytes")),
        (shared(50, 60, 0), 2, Some("a Resource has more than 100 bytes")),
        (shared(50, 0, 101), 2, Some("a schema_url has more than 100 bytes")),
        (
            log_request_of(|group| {
                group.message(2, |scope| {
                    scope.message(1, |scope| scope.str_field(1, &"s".repeat(99)));
                    scope.message(2, |_| {});
                });
                group.message(2, |scope| scope.message(2, |_| {}));
            }),
            1,
            Some("a InstrumentationScope has more than 100 bytes"),
        ),
    ];
    for (request, num_rejected, reason) in cases {
        let admitted = open(Signal::Logs, &request, &limits).expect("partly taken");
        assert_eq!(admitted.num_rejected, num_rejected);
        assert_eq!(admitted.reason.as_deref(), reason);
    }
}

#[test]
fn too_many_records_are_refused() {
    let limits = DoorLimits { max_records: 1, ..DoorLimits::default() };
    let one = log_request(|_| {});
    assert!(open(Signal::Logs, &one, &limits).is_ok());
    let error = open(Signal::Logs, &[one.clone(), one].concat(), &limits).expect_err("two");
    assert_eq!(error, DoorError::TooManyRecords { num_records: 2, limit: 1 });
}

#[test]
fn singular_submessage_that_comes_twice_is_merged() {
    let mut writer = Writer::default();
    writer.message(1, |group| {
        for key in ["a", "b"] {
            group.message(1, |resource| {
                resource.message(1, |pair| pair.str_field(1, key));
                resource.bytes_field(1000, UNKNOWN);
            });
        }
        group.message(2, |scope| scope.message(2, |_| {}));
    });
    let admitted = open(Signal::Logs, writer.as_slice(), &DoorLimits::default()).expect("valid");
    let group = admitted.batch.logs().resources().next().expect("one resource");
    let keys: Vec<&str> = group.resource().attributes().iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "b"]);
    assert_eq!(count(group.resource().bytes()), 2);
}

#[test]
fn repetitions_made_to_do_harm_are_refused() {
    let bytes = log_request(|record| {
        for _ in 0..10_002 {
            record.varint_field(2, 1);
        }
    });
    let error = open(Signal::Logs, &bytes, &DoorLimits::default()).expect_err("too many");
    assert_eq!(error, DoorError::TooManyRepeated { num_repeated: 10_001, limit: 10_000 });
}

#[test]
fn empty_request_is_taken() {
    for signal in Signal::ALL {
        let admitted = open(signal, &[], &DoorLimits::default()).expect("nothing is valid");
        assert_eq!((admitted.batch.num_records(), admitted.batch.size_bytes()), (0, 0));
    }
}
