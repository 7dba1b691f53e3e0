//! The log.

use std::io::{self, IsTerminal as _};

use tracing::Metadata;
use tracing_subscriber::{
    Layer as _,
    filter::{FilterExt as _, Targets, filter_fn},
    fmt::{self, writer::BoxMakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::LogFormat;

/// Where the log goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    /// Standard output.
    Output,
    /// Standard error, as standard output is for what the user asked for.
    Error,
}

/// Writes the log from now on, in the given format, as far as the filter lets it through.
pub(crate) fn start(stream: Stream, format: LogFormat, filter: Targets) {
    let filter = filter.and(filter_fn(is_event));
    let (writer, terminal) = match stream {
        Stream::Output => (BoxMakeWriter::new(io::stdout), io::stdout().is_terminal()),
        Stream::Error => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
    };
    let layer = fmt::layer().with_writer(writer);
    let layer = match format {
        LogFormat::Text => layer.with_target(false).with_ansi(terminal).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .init();
}

/// Each line names its workload by itself; the spans of kube-runtime would say it again, at length.
fn is_event(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}
