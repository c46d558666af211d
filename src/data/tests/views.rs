//! Views read what prost reads.

use proptest::prelude::*;

use super::arbitrary::{noisy_request, request};
use super::{admit, from_views, normal_form};
use crate::data::{Batch, Context, DoorLimits};

proptest! {
    #[test]
    fn views_read_what_prost_reads((signal, bytes) in request()) {
        let batch = admit(signal, bytes.clone());
        prop_assert_eq!(&batch.chunks()[0], &bytes);
        prop_assert_eq!(from_views::encode(&batch), bytes);
    }

    #[test]
    fn views_read_noisy_requests_as_prost((signal, bytes) in noisy_request()) {
        let batch = admit(signal, bytes.clone());
        let expected = normal_form(signal, &bytes).expect("noise is valid");
        prop_assert_eq!(from_views::encode(&batch), expected);
    }

    #[test]
    fn number_of_records_is_that_of_the_views((signal, bytes) in noisy_request()) {
        let batch = admit(signal, bytes);
        let mut num_records = 0;
        batch.for_each(|item| {
            num_records += 1;
            let _ = item.record.time();
        });
        prop_assert_eq!(batch.num_records(), num_records);
        prop_assert_eq!(batch.records().count(), num_records);
    }

    #[test]
    fn any_bytes_are_refused_or_read(signal in 0..3_usize, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let signal = crate::data::Signal::ALL[signal];
        let limits = DoorLimits::default();
        if let Ok(admitted) = Batch::try_new(signal, bytes.into(), Context::default().into(), &limits) {
            let _ = from_views::encode(&admitted.batch);
        }
    }

    #[test]
    fn reading_at_once_is_reading_one_by_one((signal, bytes) in noisy_request()) {
        let batch = admit(signal, bytes);
        for item in batch.logs().items() {
            let (record, all) = (item.record, item.record.read());
            prop_assert_eq!(
                (all.time, all.observed_time, all.severity_number, all.severity_text),
                (record.time(), record.observed_time(), record.severity_number(), record.severity_text())
            );
            prop_assert_eq!(format!("{:?}", all.body), format!("{:?}", record.body()));
            prop_assert_eq!(
                (all.dropped_attributes_count, all.flags, all.event_name),
                (record.dropped_attributes_count(), record.flags(), record.event_name())
            );
            prop_assert_eq!((all.trace_id, all.span_id), (record.trace_id(), record.span_id()));
            prop_assert_eq!(all.attributes.len(), record.attributes().len());
        }
        for item in batch.spans().items() {
            let (span, all) = (item.record, item.record.read());
            prop_assert_eq!(
                (all.trace_id, all.span_id, all.parent_span_id),
                (span.trace_id(), span.span_id(), span.parent_span_id())
            );
            prop_assert_eq!(
                (all.trace_state, all.name, all.kind, all.flags),
                (span.trace_state(), span.name(), span.kind(), span.flags())
            );
            prop_assert_eq!((all.start_time, all.end_time), (span.start_time(), span.end_time()));
            prop_assert_eq!(
                (all.dropped_attributes_count, all.dropped_events_count, all.dropped_links_count),
                (
                    span.dropped_attributes_count(),
                    span.dropped_events_count(),
                    span.dropped_links_count()
                )
            );
            prop_assert_eq!(
                all.status.map(|status| (status.code(), status.message())),
                span.status().map(|status| (status.code(), status.message()))
            );
            prop_assert_eq!(all.attributes.len(), span.attributes().len());
        }
    }
}
