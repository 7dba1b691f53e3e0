//! The layers of a configuration, defaults < file < environment, and where each value came from.

use figment::{
    Figment,
    value::{Dict, Tag, Value},
};

use super::{
    super::problem::{KeyPath, Problem, exclusive},
    layer::Layer,
    yaml,
};

/// Used where nothing else says otherwise. Every key is here, but for those that have no default.
const DEFAULTS: &str = "
cronSchedule: '*/45 * * * * *'
timeZone: UTC
logLevel: info
logFormat: text
webserver: { port: 8080 }
watch: { namespaces: [] }
platforms: []
rollouts: { maxConcurrent: 0, minInterval: 0s, settle: 0s, retryAfter: [10m, 1h, 6h] }
pinning: { enabled: false }
leaderElection: { enabled: false }
registries: []
tls: { caCertificatePaths: [] }
hints: { port: 8081, receivers: [] }
notifications: { cluster: '', sinks: [] }
featureFlags: { enableJfrogArtifactoryFallback: false, enableKubectlAnnotation: false }
";

const INTERVAL: &str = "interval";
const CRON_SCHEDULE: &str = "cronSchedule";

/// All values, of which the highest layer's hold.
pub(in crate::config) struct Merged {
    figment: Figment,
    /// The mapping of the top level.
    pub(in crate::config) root: Value,
}

impl Merged {
    /// The file or environment variable that a value came from; none for a default.
    pub(in crate::config) fn origin(&self, tag: Tag) -> Option<&str> {
        self.figment.get_metadata(tag)?.source.as_ref()?.custom()
    }
}

/// The values that hold where nothing else is set.
pub(in crate::config) fn defaults() -> Dict {
    let document = yaml::parse(DEFAULTS).ok();
    document
        .and_then(|document| document.value.into_dict())
        .unwrap_or_default()
}

/// Merges the defaults, the file and the variables, the later the higher.
pub(in crate::config) fn merge(
    file: Option<Layer>,
    variables: Vec<Layer>,
    problems: &mut Vec<Problem>,
) -> Merged {
    let defaults = Layer {
        origin: None,
        values: defaults(),
    };
    let mut ranks = [vec![defaults], file.into_iter().collect(), variables];
    choose_schedule(&mut ranks, problems);
    let figment = ranks
        .into_iter()
        .flatten()
        .fold(Figment::new(), Figment::merge);
    let root = figment
        .find_value("")
        .unwrap_or_else(|_| Value::from(Dict::new())); // a layer never fails
    Merged { figment, root }
}

/// Leaves `interval` or `cronSchedule` in the highest rank that sets one of them, and takes both out of the lower ones.
fn choose_schedule(ranks: &mut [Vec<Layer>], problems: &mut Vec<Problem>) {
    let mut chosen = false;
    for rank in ranks.iter_mut().rev() {
        let setting = |name: &str| rank.iter().find(|layer| layer.values.contains_key(name));
        let (interval, cron) = (setting(INTERVAL), setting(CRON_SCHEDULE));
        if let (Some(layer), Some(_)) = (interval, cron) {
            let path = KeyPath::default().key(INTERVAL);
            let origin = layer.origin.as_deref().unwrap_or_default();
            problems.push(Problem::new(path, origin, exclusive(CRON_SCHEDULE)));
        }
        let sets_one = interval.or(cron).is_some();
        if chosen {
            for layer in rank {
                layer.values.remove(INTERVAL);
                layer.values.remove(CRON_SCHEDULE);
            }
        }
        chosen |= sets_one;
    }
}
