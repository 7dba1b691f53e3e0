//! Prometheus's text format, as far as tests ask for it.

use std::collections::BTreeMap;

/// The samples of one scrape.
pub(crate) struct Metrics(Vec<Sample>);

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| line.starts_with("kube_autorollout_"));
        Self(samples.filter_map(Sample::parse).collect())
    }

    /// The sum of the samples of a name (without our prefix) that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).map(|sample| sample.value).sum()
    }

    /// The only sample of a name with these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.find(name, labels);
        let first = found.next()?;
        assert!(
            found.next().is_none(),
            "{name} {labels:?} has several samples"
        );
        Some(first.value)
    }

    /// How many workloads are in which state.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it counts workloads"
    )]
    pub(crate) fn states(&self) -> BTreeMap<String, usize> {
        let samples = self
            .find("workloads", &[])
            .filter(|sample| sample.value > 0.0);
        samples
            .filter_map(|sample| Some((sample.labels.get("state")?.clone(), sample.value as usize)))
            .collect()
    }

    /// The rollouts with an outcome.
    pub(crate) fn rollouts(&self, outcome: &str) -> f64 {
        self.sum("rollouts_total", &[("outcome", outcome)])
    }

    /// When a workload was checked last; zero before.
    pub(crate) fn last_check(&self, name: &str) -> f64 {
        self.sum("workload_last_check_timestamp_seconds", &[("name", name)])
    }

    /// What is seen when a condition does not come true.
    pub(crate) fn summary(&self) -> String {
        let shown = self
            .0
            .iter()
            .filter(|sample| !sample.name.contains("_bucket") && sample.value != 0.0);
        shown.fold(String::new(), |text, sample| {
            format!(
                "{text}{}{:?} {}\n",
                sample.name, sample.labels, sample.value
            )
        })
    }

    fn find<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            let has = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).map(String::as_str) == Some(*value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let pairs = labels
            .strip_suffix('}')?
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        Some(Self {
            name: name.strip_prefix("kube_autorollout_")?.to_owned(),
            labels: pairs
                .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
                .collect(),
            value: value.parse().ok()?,
        })
    }
}
