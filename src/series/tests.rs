use proptest::prelude::*;

use super::exponential::index_of;
use super::*;
use crate::data::NumberValue;

/// What counting these values one by one gives.
fn counted(values: &[f64], scale: i32) -> ExponentialTotal {
    let mut total = ExponentialTotal { scale, sum: Some(0.0), ..ExponentialTotal::default() };
    total.count = values.len() as u64;
    total.sum = Some(values.iter().sum());
    total.min = values.iter().copied().reduce(f64::min);
    total.max = values.iter().copied().reduce(f64::max);
    total.zero_count = values.iter().filter(|value| **value == 0.0).count() as u64;
    for sign in [1.0, -1.0] {
        let indexes: Vec<i64> = values
            .iter()
            .filter(|value| **value * sign > 0.0)
            .map(|value| index_of(value.abs(), scale))
            .collect();
        let Some(first) = indexes.iter().min() else { continue };
        let last = indexes.iter().max().unwrap();
        let mut counts = vec![0; (last - first + 1) as usize];
        indexes.iter().for_each(|index| counts[(index - first) as usize] += 1);
        let buckets = Buckets { offset: *first as i32, counts };
        if sign > 0.0 {
            total.positive = buckets;
        } else {
            total.negative = buckets;
        }
    }
    total
}

/// Bounds as the data model says: a value is above the lower and at most the upper one.
#[test]
fn values_are_between_the_bounds_of_their_bucket() {
    for scale in [-2, 0, 1, 3, 10] {
        let bound = |index: i64| (index as f64 * f64::from(-scale).exp2()).exp2();
        for value in [0.001, 0.5, 0.7, 1.0, 1.5, 2.0, 4.0, 1000.0, 1024.0] {
            let index = index_of(value, scale);
            let (lower, upper) = (bound(index), bound(index + 1));
            assert!(lower < value * (1.0 + 1e-12), "{value} {scale} {index}");
            assert!(value <= upper * (1.0 + 1e-12), "{value} {scale} {index}");
        }
    }
    assert_eq!([1.0, 2.0, 2.1, 4.0].map(|value| index_of(value, 0)), [-1, 0, 1, 1]);
    assert_eq!([1.0, 4.0].map(|value| index_of(value, 1)), [-1, 3]);
    assert_eq!([4.0, 4.1].map(|value| index_of(value, -1)), [0, 1]);
}

#[test]
fn wider_zero_bucket_swallows_what_is_in_it() {
    let mut total = counted(&[0.3, 0.6, 3.0, -0.2, -5.0], 0);
    let wide = ExponentialTotal { zero_threshold: 0.5, zero_count: 4, ..counted(&[], 0) };
    total.add(wide);
    assert_eq!((total.zero_count, total.zero_threshold), (6, 0.5));
    assert_eq!(total.positive, Buckets { offset: -1, counts: vec![1, 0, 1] });
    assert_eq!(total.negative, Buckets { offset: 2, counts: vec![1] });
}

#[test]
fn extremes_are_added_without_panic_or_much_memory() {
    let buckets = |offset| Buckets { offset, counts: vec![1, 2] };
    for scale in [i32::MIN, -100, 0, 100, i32::MAX] {
        for zero_threshold in [0.0, f64::MIN_POSITIVE, 1e300, f64::INFINITY, f64::NAN, -1.0] {
            let extreme = |scale, offset| ExponentialTotal {
                scale,
                zero_threshold,
                count: u64::MAX,
                positive: buckets(offset),
                negative: buckets(-offset),
                ..ExponentialTotal::default()
            };
            let mut total = extreme(scale, i32::MAX - 1);
            total.add(extreme(0, -i32::MAX));
            total.add(counted(&[1.0, -2.0], 3));
            assert!(total.positive.counts.len() <= 160 && total.negative.counts.len() <= 160);
        }
    }
}

#[test]
fn numbers_stay_whole_and_do_not_wrap() {
    let (int, double) = (NumberValue::Int, NumberValue::Double);
    assert_eq!(add_numbers(int(i64::MAX), int(1)), int(i64::MAX));
    assert_eq!(add_numbers(int(1), double(0.5)), double(1.5));
    assert_eq!(add_numbers(NumberValue::Empty, int(2)), int(2));
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(prop_oneof![Just(0.0), -1e6..1e6_f64, 1e-6..1.0_f64], 0..30)
}

proptest! {
    /// Adding is counting all values at the scale that comes out.
    #[test]
    fn exponential_total_is_that_of_all_values(
        parts in prop::collection::vec((values(), -2_i32..9), 1..6),
    ) {
        let mut parts = parts.into_iter();
        let (first, scale) = parts.next().unwrap();
        let (mut all, mut total) = (first.clone(), counted(&first, scale));
        for (values, scale) in parts {
            total.add(counted(&values, scale));
            all.extend(values);
        }
        prop_assert!(total.positive.counts.len() <= 160 || total.scale == scale);
        let expected = counted(&all, total.scale);
        prop_assert_eq!(total.count, expected.count);
        prop_assert_eq!(total.zero_count, expected.zero_count);
        let trimmed = |buckets: &Buckets| {
            let mut buckets = buckets.clone();
            buckets.downscale(0);
            buckets
        };
        prop_assert_eq!(trimmed(&total.positive), trimmed(&expected.positive));
        prop_assert_eq!(trimmed(&total.negative), trimmed(&expected.negative));
    }

    #[test]
    fn totals_are_restored_as_they_were_saved(values in values(), scale in -3_i32..9) {
        let exponential = counted(&values, scale);
        let histogram = HistogramTotal {
            count: 3,
            sum: values.first().copied(),
            min: None,
            max: Some(1.0),
            counts: values.iter().map(|value| value.to_bits()).collect(),
            bounds: values.clone(),
        };
        for total in [
            Total::Number(NumberValue::Empty),
            Total::Number(NumberValue::Int(-5)),
            Total::Number(NumberValue::Double(0.25)),
            Total::Histogram(Box::new(histogram)),
            Total::Exponential(Box::new(exponential)),
        ] {
            let mut saved = Vec::new();
            total.save(&mut saved).unwrap();
            prop_assert_eq!(&Total::restore(&mut saved.as_slice()).unwrap(), &total);
            prop_assert!(Total::restore(&mut &saved[..saved.len() - 1]).is_err());
        }
    }
}
