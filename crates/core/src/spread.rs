//! Spreads workloads over time, so that a thousand of them do not act in the same instant.

use std::time::Duration;

/// A hash of a text, such as a UID: the same in every version and on every machine.
///
/// FNV-1a, followed by the mixer of `SplitMix64`, because the last characters hardly change the high bits of FNV alone;
/// <http://www.isthe.com/chongo/tech/comp/fnv/> and <https://xoshiro.di.unimi.it/splitmix64.c>.
pub fn seed(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The offset of `seed` within `whole`: stable, less than `whole`, and evenly distributed over all seeds.
pub(crate) fn offset(seed: u64, whole: Duration) -> Duration {
    let [high, low, ..] = seed.to_be_bytes();
    whole / (u32::from(u16::MAX) + 1) * u32::from(u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_same_in_every_version() {
        let seeds = ["", "a", "3f1c8a52-7d3e-4b7e-9a55-0d1f6c1b2e77"].map(seed);
        let expected = [
            17_665_956_581_633_026_203,
            198_367_012_849_983_736,
            11_788_071_562_934_392_003,
        ];
        assert_eq!(seeds, expected);
    }

    #[test]
    fn similar_names_are_spread_evenly() {
        let whole = Duration::from_secs(16);
        let mut filled = [0_u32; 16];
        for number in 0..1600 {
            let place = offset(seed(&format!("workload-{number}")), whole);
            filled[usize::try_from(place.as_secs()).expect("a small number")] += 1;
        }
        assert!(
            filled.iter().all(|count| (60..150).contains(count)),
            "{filled:?}"
        );
    }

    #[test]
    fn a_place_is_never_past_the_end() {
        let whole = Duration::from_secs(10);
        assert_eq!(offset(0, whole), Duration::ZERO);
        assert!(offset(u64::MAX, whole) < whole);
        assert!(offset(u64::MAX, Duration::MAX) < Duration::MAX);
    }
}
