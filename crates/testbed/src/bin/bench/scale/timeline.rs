//! The requests in flight over time, from the time stamps of the audit log.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use kube_autorollout_testbed::control_plane::Request;
use serde_json::{Value, json};

/// How fine the timeline is.
const STEP: Duration = Duration::from_millis(250);

/// Requests of one user from a first moment to the response to its last patch.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// From the moment to the end of the last patch.
    pub(crate) took: Duration,
    /// The longest time without a request in flight, and the sum of all such times.
    idle: [Duration; 2],
    /// By verbs: how many there were, and how long half of them took at most.
    kinds: BTreeMap<String, (usize, Duration)>,
    steps: Vec<Step>,
}

/// The requests in flight within one step.
#[derive(Debug, Clone, Default)]
struct Step {
    /// The average number of requests in flight, by verb.
    under_way: BTreeMap<String, f64>,
    /// How many patches got a response.
    patched: usize,
}

impl Timeline {
    /// Of these requests; nothing if there is no patch among them.
    pub(crate) fn new(from: Timestamp, requests: &[Request]) -> Option<Self> {
        let patches = requests.iter().filter(|request| request.verb == "patch");
        let to = patches.map(|request| request.done).max()?;
        let took = between(from, to);
        let mut spans = Vec::new();
        for request in requests {
            let span = (
                between(from, request.at),
                between(from, request.done).min(took),
            );
            if request.verb != "watch" && span.0 < took {
                spans.push((request.verb.clone(), span));
            }
        }
        spans.sort_by_key(|(_, span)| *span);
        Some(Self {
            took,
            idle: idle(&spans, took),
            kinds: kinds(&spans),
            steps: steps(&spans, took),
        })
    }

    pub(crate) fn json(&self) -> Value {
        let [longest, idle] = self.idle.map(|time| time.as_secs_f64());
        let steps = self.steps.iter().enumerate();
        let steps = steps.map(|(number, step)| {
            json!({
                "until_seconds": (STEP * u32::try_from(number + 1).unwrap_or(u32::MAX)).as_secs_f64(),
                "under_way": step.under_way,
                "patched": step.patched,
            })
        });
        let kinds = self.kinds.iter().map(|(verb, (count, median))| {
            let figures = json!({"count": count, "median_seconds": median.as_secs_f64()});
            (verb.clone(), figures)
        });
        json!({
            "seconds": self.took.as_secs_f64(),
            "nothing_under_way_seconds": idle,
            "nothing_under_way_at_once_seconds": longest,
            "requests": kinds.collect::<serde_json::Map<_, _>>(),
            "steps": steps.collect::<Vec<_>>(),
        })
    }

    /// In one line.
    pub(crate) fn summary(&self) -> String {
        let kinds = self.kinds.iter().map(|(verb, (count, median))| {
            format!("{count} {verb} of {:.0} ms", median.as_secs_f64() * 1000.0)
        });
        let [longest, idle] = self.idle;
        format!(
            "{:.2} s to the last patch: {} (medians); no request under way for {:.2} s, {:.2} s of it at once",
            self.took.as_secs_f64(),
            kinds.collect::<Vec<_>>().join(", "),
            idle.as_secs_f64(),
            longest.as_secs_f64(),
        )
    }
}

type Span = (Duration, Duration);

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// The longest time without a request, and all such times together.
fn idle(spans: &[(String, Span)], took: Duration) -> [Duration; 2] {
    let (mut longest, mut all, mut busy_until) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let last = (took, took);
    for (start, end) in spans.iter().map(|(_, span)| *span).chain([last]) {
        let gap = start.saturating_sub(busy_until);
        longest = longest.max(gap);
        all += gap;
        busy_until = busy_until.max(end);
    }
    [longest, all]
}

fn kinds(spans: &[(String, Span)]) -> BTreeMap<String, (usize, Duration)> {
    let mut durations: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for (verb, (start, end)) in spans {
        let of_verb = durations.entry(verb.clone()).or_default();
        of_verb.push(end.saturating_sub(*start));
    }
    let median = |mut all: Vec<Duration>| {
        all.sort_unstable();
        let middle = all.get(all.len() / 2).copied();
        (all.len(), middle.unwrap_or_default())
    };
    let durations = durations.into_iter();
    durations.map(|(verb, all)| (verb, median(all))).collect()
}

fn steps(spans: &[(String, Span)], took: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut begin = Duration::ZERO;
    while begin < took {
        let end = begin + STEP;
        let mut step = Step::default();
        for (verb, span) in spans {
            let within = span.1.min(end).saturating_sub(span.0.max(begin));
            if !within.is_zero() {
                let share = within.as_secs_f64() / STEP.as_secs_f64();
                *step.under_way.entry(verb.clone()).or_default() += share;
            }
            step.patched += usize::from(verb == "patch" && span.1 > begin && span.1 <= end);
        }
        steps.push(step);
        begin = end;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(verb: &str, start: u64, end: u64) -> (String, Span) {
        let span = (Duration::from_millis(start), Duration::from_millis(end));
        (verb.to_owned(), span)
    }

    #[test]
    fn times_without_a_request_are_those_that_no_request_covers() {
        let spans = [
            span("list", 100, 400),
            span("patch", 200, 300),
            span("patch", 450, 700),
        ];
        let took = Duration::from_millis(700);
        assert_eq!(idle(&spans, took), [100, 150].map(Duration::from_millis));
        let steps = steps(&spans, took);
        assert_eq!(
            steps.iter().map(|step| step.patched).collect::<Vec<_>>(),
            [0, 1, 1]
        );
        assert!((steps[0].under_way["list"] - 0.6).abs() < 1e-9);
        assert_eq!(kinds(&spans)["patch"], (2, Duration::from_millis(250)));
    }
}
