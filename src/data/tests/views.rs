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
    }

    #[test]
    fn any_bytes_are_refused_or_read(signal in 0..3_usize, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let signal = crate::data::Signal::ALL[signal];
        let limits = DoorLimits::default();
        if let Ok(admitted) = Batch::try_new(signal, bytes.into(), Context::default().into(), &limits) {
            let _ = from_views::encode(&admitted.batch);
        }
    }
}
