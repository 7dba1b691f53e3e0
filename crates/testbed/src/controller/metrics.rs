//! Metrics in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

/// What `/metrics` responded with.
#[derive(Debug, Clone)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    pub(super) fn new(text: String) -> Self {
        Self { text }
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of one metric whose labels are among those given, as they stand.
    pub fn lines<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a str> {
        self.text.lines().filter(move |line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| {
                rest.starts_with(['{', ' '])
                    && labels
                        .iter()
                        .all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
            })
        })
    }

    /// The sum of the values of those lines; zero if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let lines = self.lines(name, labels);
        lines.filter_map(value).sum()
    }

    /// The value of the only such line; nothing if there is none, or more than one.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut lines = self.lines(name, labels);
        let only = lines.next()?;
        value(only).filter(|_| lines.next().is_none())
    }

    /// The sum, of counters and gauges of whole numbers.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is counted is whole and not negative"
    )]
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.sum(name, labels) as u64
    }
}

fn value(line: &str) -> Option<f64> {
    line.rsplit_once(' ')?.1.parse().ok()
}

/// The value of a label of a line.
pub fn label<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("{label}=\""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_summed_over_the_lines_with_the_wanted_labels_only() {
        let text = "# TYPE rollouts counter\nrollouts{kind=\"Deployment\",outcome=\"a\"} 2\n\
                    rollouts{kind=\"Deployment\",outcome=\"b\"} 3\nrollouts_total 7\nup 1\n";
        let metrics = Metrics::new(text.to_owned());
        assert_eq!(metrics.count("rollouts", &[]), 5);
        let labels = [("outcome", "b"), ("kind", "Deployment")];
        assert_eq!(metrics.count("rollouts", &labels), 3);
        assert_eq!(metrics.count("rollouts", &[("outcome", "c")]), 0);
        assert_eq!(metrics.count("up", &[]), 1);
        assert_eq!(metrics.value("up", &[]), Some(1.0));
        assert_eq!(metrics.value("rollouts", &[]), None, "there are two");
        let line = metrics.lines("rollouts", &labels).next().expect("a line");
        assert_eq!(label(line, "outcome"), Some("b"));
    }
}
