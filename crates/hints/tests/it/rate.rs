//! How many requests are let in.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use kube_autorollout_hints::{Limits, Rate, TokenBucket};
use proptest::prelude::*;

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate {
        per_second: NonZeroU32::new(per_second).expect("not zero"),
        burst: NonZeroU32::new(burst).expect("not zero"),
    }
}

/// How many are let in at once.
fn drain(bucket: &mut TokenBucket, now: Instant) -> u32 {
    let mut count = 0;
    while bucket.take(now).is_ok() {
        count += 1;
    }
    count
}

#[test]
fn a_bucket_lets_a_burst_in_and_then_the_rate() {
    let start = Instant::now();
    let mut bucket = TokenBucket::new(rate(10, 100), start);
    assert_eq!(drain(&mut bucket, start), 100);
    assert_eq!(bucket.take(start), Err(Duration::from_millis(100)));
    assert_eq!(drain(&mut bucket, start + Duration::from_millis(99)), 0);
    assert_eq!(drain(&mut bucket, start + Duration::from_secs(1)), 10);
    assert_eq!(drain(&mut bucket, start + Duration::from_secs(3600)), 100);
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    assert_eq!(Rate::DEFAULT, rate(10, 100));
    assert_eq!(Rate::FAILURES, rate(5, 50));
}

#[test]
fn too_many_failures_close_a_receiver_for_a_moment() {
    let start = Instant::now();
    let mut limits = Limits::new(rate(1000, 1000), start);
    for _ in 0..50 {
        assert_eq!(limits.admit(start), Ok(()));
        limits.fail(start);
    }
    let wait = limits.admit(start).expect_err("closed");
    assert_eq!(wait, Duration::from_millis(200));
    limits.fail(start);
    assert_eq!(limits.admit(start + wait), Ok(()));
}

#[test]
fn requests_that_are_right_are_not_limited_by_the_bucket_of_failures() {
    let start = Instant::now();
    let mut limits = Limits::new(rate(1000, 1000), start);
    for _ in 0..1000 {
        assert_eq!(limits.admit(start), Ok(()));
    }
    assert!(limits.admit(start).is_err());
}

proptest! {
    #[test]
    fn no_span_lets_in_more_than_the_burst_and_the_rate(
        per_second in 1_u32..1000,
        burst in 1_u32..1000,
        steps in proptest::collection::vec(0_u64..2000, 1..200),
    ) {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(rate(per_second, burst), start);
        let mut now = start;
        let mut count = 0_u32;
        for step in steps {
            now += Duration::from_millis(step);
            match bucket.take(now) {
                Ok(()) => count += 1,
                Err(wait) => prop_assert_eq!(bucket.clone().take(now + wait), Ok(())),
            }
            let seconds = (now - start).as_secs_f64();
            let most = f64::from(burst) + seconds * f64::from(per_second) * 1.001;
            prop_assert!(f64::from(count) <= most + 1.0);
        }
    }

    #[test]
    fn a_clock_that_goes_back_lets_nobody_in_for_free(back in 0_u64..10) {
        let before = Instant::now();
        let start = before + Duration::from_secs(back);
        let mut bucket = TokenBucket::new(rate(1, 3), start);
        prop_assert_eq!(drain(&mut bucket, start), 3);
        prop_assert_eq!(drain(&mut bucket, before), 0);
    }
}
