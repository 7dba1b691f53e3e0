//! The layers of a configuration, from the lowest to the highest: defaults, file, environment.

use figment::{
    Figment,
    value::{Dict, Value},
};

use super::{
    super::problem::{KeyPath, Problems, exclusive},
    layer::Layer,
    yaml,
};

/// The default of every key that has one.
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

/// The values in force.
pub(in crate::config) struct Merged {
    figment: Figment,
    /// The mapping of the top level.
    pub(in crate::config) root: Value,
}

impl Merged {
    /// The file or environment variable that sets the value at `path`; `None` for a default.
    pub(in crate::config) fn origin(&self, path: &KeyPath) -> Option<&str> {
        let tag = path.find_nearest(&self.root).tag();
        self.figment.get_metadata(tag)?.source.as_ref()?.custom()
    }
}

/// The values of the lowest layer.
pub(in crate::config) fn defaults() -> Dict {
    let root = KeyPath::default();
    yaml::parse(DEFAULTS, &root, "", &mut Problems::default())
        .ok()
        .and_then(Value::into_dict)
        .unwrap_or_default()
}

/// Merges the defaults, the file and the variables; higher layers override lower ones.
pub(in crate::config) fn merge(
    file: Option<Layer>,
    variables: Vec<Layer>,
    problems: &mut Problems,
) -> Merged {
    let defaults = Layer {
        origin: None,
        values: defaults(),
    };
    let mut ranks = [vec![defaults], file.into_iter().collect(), variables];
    choose_schedule(&mut ranks, problems);
    let layers = ranks.into_iter().flatten();
    let figment = layers.fold(Figment::new(), Figment::merge);
    let root = figment
        .find_value("")
        .unwrap_or_else(|_| Value::from(Dict::new())); // layers are infallible
    Merged { figment, root }
}

/// Removes `interval` and `cronSchedule` from the ranks below the highest one that sets either of them.
fn choose_schedule(ranks: &mut [Vec<Layer>], problems: &mut Problems) {
    let mut is_chosen = false;
    for rank in ranks.iter_mut().rev() {
        let with = |key: &str| rank.iter().find(|layer| layer.values.contains_key(key));
        let (interval, cron) = (with(INTERVAL), with(CRON_SCHEDULE));
        if let (Some(layer), Some(_)) = (interval, cron) {
            let message = exclusive(CRON_SCHEDULE);
            problems.add(KeyPath::dotted(INTERVAL), layer.origin.as_deref(), message);
        }
        let sets_either = interval.or(cron).is_some();
        if is_chosen {
            for layer in rank {
                layer.values.remove(INTERVAL);
                layer.values.remove(CRON_SCHEDULE);
            }
        }
        is_chosen |= sets_either;
    }
}
