//! The schedule.

use super::{
    Given, check_problems,
    keys::{cron, interval},
};

#[test]
fn the_schedule_is_a_cron_expression_or_an_interval() {
    let given = Given::new();
    let table = [
        ("cronSchedule: '*/5 * * * *'", cron("*/5 * * * *", "UTC")),
        (
            "cronSchedule: '30 */5 * * * *'",
            cron("30 */5 * * * *", "UTC"),
        ),
        ("cronSchedule: '@hourly'", cron("@hourly", "UTC")),
        (
            "{cronSchedule: '0 3 * * *', timeZone: Europe/Berlin}",
            cron("0 3 * * *", "Europe/Berlin"),
        ),
        ("interval: 45s", interval("45s")),
        ("interval: 24h", interval("24h")),
        ("{interval: 5m, cronSchedule: }", interval("5m")),
        (
            "{interval: ~, timeZone: UTC}",
            cron("*/45 * * * * *", "UTC"),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(given.config(text).schedule, expected, "{text}");
    }
}

#[test]
fn invalid_schedules_are_problems() {
    check_problems(
        &Given::new().variable("EVERY", "often"),
        &[
            (
                "cronSchedule: often",
                r#"cronSchedule (in DIR/config.yaml): cannot parse cron expression "often": it has 1 fields; allowed are 5, or 6 with seconds first"#,
            ),
            (
                "cronSchedule: 0 0 30 2 *",
                r#"cronSchedule (in DIR/config.yaml): cannot use cron expression "0 0 30 2 *": it never matches any day"#,
            ),
            (
                "cronSchedule: TZ=UTC 0 0 * * *",
                r#"cronSchedule (in DIR/config.yaml): cannot parse cron expression "TZ=UTC 0 0 * * *": a time zone is not part of it; set timeZone in the configuration"#,
            ),
            (
                "cronSchedule: 5",
                "cronSchedule (in DIR/config.yaml): found 5; allowed: a cron expression of 5 or 6 fields, or a nickname such as @hourly",
            ),
            (
                "interval: 45",
                "interval (in DIR/config.yaml): found 45; allowed: an integer and s, m or h, from 1s to 24h",
            ),
            (
                "interval: 25h",
                r#"interval (in DIR/config.yaml): cannot use interval "25h": allowed is 1s to 24h"#,
            ),
            // What a variable holds is not repeated.
            (
                "interval: ${EVERY}",
                r#"interval (in DIR/config.yaml): found "${EVERY}"; allowed: an integer and s, m or h, from 1s to 24h"#,
            ),
            (
                "timeZone: Mars/Olympus",
                r#"timeZone (in DIR/config.yaml): found "Mars/Olympus"; allowed: an IANA time zone such as Europe/Berlin"#,
            ),
            (
                "{interval: 45s, cronSchedule: '@hourly'}",
                "interval (in DIR/config.yaml): cannot be set together with cronSchedule",
            ),
            (
                "{interval: x, cronSchedule: '@always', timeZone: ''}",
                r#"
                cronSchedule (in DIR/config.yaml): cannot parse cron expression "@always": the nicknames are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly; for a fixed period set an interval
                interval (in DIR/config.yaml): cannot be set together with cronSchedule
                interval (in DIR/config.yaml): cannot parse interval "x": allowed is one integer and s, m or h, such as 45s
                timeZone (in DIR/config.yaml): found ""; allowed: an IANA time zone such as Europe/Berlin
                "#,
            ),
        ],
    );
}
