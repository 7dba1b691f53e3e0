//! Log output.

use std::{
    io::{self, IsTerminal as _},
    panic,
};

use tracing::{Level, Metadata, error};
use tracing_subscriber::{
    Layer as _,
    filter::{FilterExt as _, Targets, filter_fn},
    fmt::{self, writer::BoxMakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::LogFormat;

/// The destination of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    /// Standard output.
    Output,
    /// Standard error, as standard output is for the result of a command.
    Error,
}

/// Installs the global subscriber, with this format and filter.
pub(crate) fn start(stream: Stream, format: LogFormat, filter: Targets) {
    let filter = filter
        .and(filter_fn(is_no_span))
        .and(filter_fn(is_not_duplicate));
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
    log_panics();
}

/// Logs panics as errors: standard error may not be collected, and is not JSON.
fn log_panics() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if tracing::enabled!(Level::ERROR) {
            let text = panic.to_string().replace('\n', " ");
            error!("panic: {text}");
        } else {
            default(panic);
        }
    }));
}

/// Each line names its workload; the spans of kube-runtime would repeat it at length. `tracing::enabled!` is neither an event nor
/// a span.
fn is_no_span(metadata: &Metadata<'_>) -> bool {
    !metadata.is_span()
}

/// kube's client logs each failed request, and each response that it cannot parse with its whole body: pages of objects, or a
/// Secret. Both are also returned as errors, which we log.
fn is_not_duplicate(metadata: &Metadata<'_>) -> bool {
    let is_known =
        ["kube_client::client", "kube_client::client::builder"].contains(&metadata.target());
    !is_known || *metadata.level() > Level::WARN
}
