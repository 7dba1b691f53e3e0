//! The log.

use std::io::{self, IsTerminal as _};

use tracing::Metadata;
use tracing_subscriber::{
    Layer as _,
    filter::{FilterExt as _, Targets, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::LogFormat;

/// Writes the log to standard output from now on, in the given format, as far as the filter lets it through.
pub(crate) fn start(format: LogFormat, filter: Targets) {
    let filter = filter.and(filter_fn(is_event));
    let layer = match format {
        LogFormat::Text => fmt::layer()
            .with_target(false)
            .with_ansi(io::stdout().is_terminal())
            .boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .init();
}

/// Each line names its workload by itself; the spans of kube-runtime would say it again, at length.
fn is_event(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}
