use proptest::prelude::*;

use super::*;
use crate::quoted::Quoted;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a test's own time")
}

fn cron(text: &str, zone: &str) -> Schedule {
    let zone = TimeZone::get(zone).expect("a known zone");
    Schedule::parse_cron(text, &zone).unwrap_or_else(|error| panic!("{error}"))
}

fn interval(text: &str) -> Schedule {
    Schedule::parse_interval(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The ticks after `start`, as often as there are `expected` ones.
fn assert_ticks(schedule: &Schedule, start: &str, expected: &[&str]) {
    let mut now = at(start);
    for tick in expected {
        now = schedule.tick_after(now);
        assert_eq!(now, at(tick), "after {start}");
        assert_eq!(schedule.current_tick(now), now, "a tick is its own");
    }
}

#[test]
fn a_step_that_does_not_divide_the_minute_starts_again_each_minute() {
    let ticks = [
        "2026-01-01T00:00:45Z",
        "2026-01-01T00:01:00Z", // 15 s later, not 45
        "2026-01-01T00:01:45Z",
    ];
    assert_ticks(
        &cron("*/45 * * * * *", "UTC"),
        "2026-01-01T00:00:00Z",
        &ticks,
    );
}

#[test]
fn an_interval_does_not_shift_when_the_controller_restarts() {
    let every_45 = interval("45s");
    for start in ["2026-01-01T00:00:00Z", "2026-01-01T00:00:44.9Z"] {
        assert_ticks(
            &every_45,
            start,
            &["2026-01-01T00:00:45Z", "2026-01-01T00:01:30Z"],
        );
        assert_eq!(every_45.current_tick(at(start)), at("2026-01-01T00:00:00Z"));
    }
}

#[test]
fn the_current_tick_is_the_one_that_has_begun() {
    let cases = [
        (
            "*/45 * * * * *",
            "2026-01-01T00:00:44.999Z",
            "2026-01-01T00:00:00Z",
        ),
        (
            "*/45 * * * * *",
            "2026-01-01T00:00:45.001Z",
            "2026-01-01T00:00:45Z",
        ),
        ("@hourly", "2026-01-01T09:59:59Z", "2026-01-01T09:00:00Z"),
        ("@yearly", "2026-11-23T09:59:59Z", "2026-01-01T00:00:00Z"),
        ("0 0 29 2 *", "2026-11-23T09:59:59Z", "2024-02-29T00:00:00Z"),
    ];
    for (expression, now, tick) in cases {
        assert_eq!(
            cron(expression, "UTC").current_tick(at(now)),
            at(tick),
            "{expression}"
        );
    }
}

#[test]
fn a_fixed_time_follows_the_clocks_of_its_zone() {
    let gap = [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ];
    let overlap = [
        "2026-10-24T00:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-26T01:30:00Z",
    ];
    let daily = cron("30 2 * * *", "Europe/Berlin");
    assert_ticks(&daily, "2026-03-27T12:00:00Z", &gap); // 02:30 is left out on the 29th: right after the gap
    assert_ticks(&daily, "2026-10-23T12:00:00Z", &overlap); // 02:30 comes twice on the 25th: once
}

#[test]
fn a_repeated_time_ticks_in_both_passes_of_a_repeated_hour() {
    let every_half_hour = cron("*/30 * * * *", "Europe/Berlin");
    let overlap = [
        "2026-10-25T00:00:00Z", // 02:00 in summer
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z", // 02:00 in winter
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
    ];
    assert_ticks(&every_half_hour, "2026-10-24T23:45:00Z", &overlap);
    assert_ticks(
        &every_half_hour,
        "2026-03-29T00:30:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
    );
}

#[test]
fn nicknames_are_those_of_kubernetes() {
    let cases = [
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("@monthly", "2026-02-01T00:00:00Z"),
        ("@weekly", "2026-01-04T00:00:00Z"),
        ("@daily", "2026-01-02T00:00:00Z"),
        ("@midnight", "2026-01-02T00:00:00Z"),
        (" @Hourly ", "2026-01-01T13:00:00Z"),
    ];
    for (nickname, tick) in cases {
        assert_ticks(&cron(nickname, "UTC"), "2026-01-01T12:00:00Z", &[tick]);
    }
}

#[test]
fn errors_of_cron_expressions_name_valid_ones() {
    let cases = [
        (
            "",
            "it has 0 fields; allowed are 5, or 6 with seconds first",
        ),
        ("* * * *", "it has 4 fields"),
        ("0 0 0 1 1 * 2030", "it has 7 fields"),
        (
            "TZ=Europe/Berlin 0 3 * * *",
            "set timeZone in the configuration",
        ),
        ("CRON_TZ=UTC 0 3 * * *", "set timeZone in the configuration"),
        ("@every 5m", "for a fixed period set an interval"),
        ("@reboot", "the nicknames are @yearly"),
        ("61 * * * *", "minutes 0-59"),
        ("a * * * *", "illegal character 'A'"),
        ("0 0 30 2 *", "it never matches any day"),
        ("0 0 31 4,6,9,11 *", "it never matches any day"),
    ];
    for (text, expected) in cases {
        let error = Schedule::parse_cron(text, &TimeZone::UTC)
            .expect_err(text)
            .to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(
            error.contains(&Quoted::new(text).to_string()),
            "{text}: {error}"
        );
    }
    let long = format!("{} * * * *", "1,".repeat(400));
    let input = Quoted::new(&long);
    assert_eq!(
        Schedule::parse_cron(&long, &TimeZone::UTC),
        Err(CronError::TooLong(input))
    );
}

#[test]
fn an_interval_is_one_integer_and_a_unit_from_a_second_to_a_day() {
    for (text, seconds) in [
        ("1s", 1),
        ("45s", 45),
        (" 90m ", 5400),
        ("24h", 86400),
        ("86400s", 86400),
        ("007s", 7),
    ] {
        let schedule = interval(text);
        let tick = schedule.tick_after(Timestamp::UNIX_EPOCH);
        assert_eq!(tick.as_second(), seconds, "{text}");
    }
    let form = [
        "", "s", "45", "+45s", "-45s", "1.5h", "1h30m", "45 s", "45S", "1d", "٤s", "45ms",
    ];
    for text in form {
        let input = Quoted::new(text);
        assert_eq!(
            Schedule::parse_interval(text),
            Err(IntervalError::Form(input)),
            "{text}"
        );
    }
    for text in [
        "0s",
        "0h",
        "86401s",
        "1441m",
        "25h",
        "99999999999999999999s",
        "4294967295h",
    ] {
        let input = Quoted::new(text);
        assert_eq!(
            Schedule::parse_interval(text),
            Err(IntervalError::Range(input)),
            "{text}"
        );
    }
}

#[test]
fn a_rollout_is_looked_at_less_often_as_it_grows_older() {
    let started = at("2026-01-01T00:00:00Z");
    let cases = [
        ("00:00:00", 2),
        ("00:00:08", 2),
        ("00:00:40", 10),
        ("00:10:00", 150),
    ];
    for (time, seconds) in cases {
        let now = at(&format!("2026-01-01T{time}Z"));
        assert_eq!(
            poll_after(started, now),
            Duration::from_secs(seconds),
            "{time}"
        );
    }
    assert_eq!(
        poll_after(started, at("2025-12-31T00:00:00Z")),
        MIN_POLL,
        "the clock was set back"
    );
}

#[test]
fn the_spread_of_a_daily_schedule_ends_after_five_minutes() {
    let daily = cron("@daily", "UTC");
    let now = at("2026-01-01T12:00:00Z");
    let last = daily.check_after(now, u64::MAX);
    assert!(
        last > at("2026-01-02T00:04:59Z") && last < at("2026-01-02T00:05:00Z"),
        "{last}"
    );
    assert_eq!(daily.check_after(now, 0), at("2026-01-02T00:00:00Z"));
}

#[test]
fn the_ends_of_time_are_no_panic() {
    for schedule in [interval("24h"), cron("*/45 * * * * *", "Europe/Berlin")] {
        for now in [Timestamp::MIN, Timestamp::MAX] {
            assert!(schedule.current_tick(now) <= now);
            assert!(schedule.tick_after(now) >= now);
            assert!(schedule.check_after(now, u64::MAX) >= now);
        }
    }
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let zones = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Asia/Kolkata",
    ];
    let field = |most: u32| {
        prop_oneof![
            Just("*".to_owned()),
            (2..=most).prop_map(|step| format!("*/{step}")),
            (0..=most).prop_map(|value| value.to_string()),
        ]
    };
    let expression = (field(59), field(59), field(23), prop::bool::ANY).prop_map(
        |(second, minute, hour, weekly)| {
            let weekday = if weekly { "SUN" } else { "*" };
            format!("{second} {minute} {hour} * * {weekday}")
        },
    );
    prop_oneof![
        (1_u32..=86_400).prop_map(|seconds| interval(&format!("{seconds}s"))),
        (expression, prop::sample::select(zones.to_vec()))
            .prop_map(|(expression, zone)| cron(&expression, zone)),
    ]
}

/// Any time, and often one near a change of clocks in Europe, America or Australia.
fn times() -> impl Strategy<Value = Timestamp> {
    let changes = [
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-03T15:30:00Z",
    ];
    let near = (
        prop::sample::select(changes.to_vec()),
        -10_000_000..10_000_000_i64,
    )
        .prop_map(|(change, milliseconds)| at(change) + SignedDuration::from_millis(milliseconds));
    let any = (0..4_000_000_000_000_i64).prop_map(|milliseconds| {
        Timestamp::from_millisecond(milliseconds).expect("a time of this century")
    });
    prop_oneof![near, any]
}

proptest! {
    #[test]
    fn ticks_divide_all_time(schedule in schedules(), now in times()) {
        let (current, next) = (schedule.current_tick(now), schedule.tick_after(now));
        prop_assert!(current <= now && now < next, "{current} {now} {next}");
        prop_assert_eq!(schedule.tick_after(current), next);
        prop_assert_eq!(schedule.current_tick(next), next);
        prop_assert_eq!(schedule.current_tick(next - SignedDuration::from_nanos(1)), current);
    }

    #[test]
    fn a_check_keeps_its_place_within_a_tenth_of_the_gap(schedule in schedules(), now in times(), seed: u64) {
        let tick = schedule.tick_after(now);
        let gap = schedule.tick_after(tick).duration_since(tick);
        let check = schedule.check_after(now, seed);
        prop_assert!(check >= tick && check.duration_since(tick) <= gap / 10);
        prop_assert_eq!(schedule.check_after(schedule.current_tick(now), seed), check);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[0-9*/,#LW?+@A-Za-z -]{0,40}|(([0-9*?L]|[0-9]{1,5}[-/#LW,][0-9]{0,5}|\\*/[0-9]{1,5}) ?){3,7}|\\PC*") {
        let zone = TimeZone::UTC;
        if let Ok(schedule) = Schedule::parse_cron(&text, &zone) {
            let now = at("2026-11-23T12:00:00Z");
            prop_assert!(schedule.current_tick(now) <= now && now < schedule.tick_after(now));
        }
        if let Ok(schedule) = Schedule::parse_interval(&text) {
            prop_assert!(schedule.tick_after(Timestamp::UNIX_EPOCH) > Timestamp::UNIX_EPOCH);
        }
    }
}
