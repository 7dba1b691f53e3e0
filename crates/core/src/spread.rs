//! A place of its own for each workload, so that a thousand of them do not do the same in the same instant.

use std::time::Duration;

/// A number that stands for a workload: the same in every version and on every machine.
///
/// It is FNV-1a, mixed once more because FNV alone hardly changes its high bits for the last characters;
/// <http://www.isthe.com/chongo/tech/comp/fnv/> and <https://xoshiro.di.unimi.it/splitmix64.c>.
pub fn seed(uid: &str) -> u64 {
    let hash = uid.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The place of `seed` within `whole`: always the same one, less than `whole`, and even over all seeds.
pub fn place(seed: u64, whole: Duration) -> Duration {
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
            let place = place(seed(&format!("workload-{number}")), whole);
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
        assert_eq!(place(0, whole), Duration::ZERO);
        assert!(place(u64::MAX, whole) < whole);
        assert!(place(u64::MAX, Duration::MAX) < Duration::MAX);
    }
}
