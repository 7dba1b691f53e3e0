//! The log.

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
    let filter = filter
        .and(filter_fn(is_no_span))
        .and(filter_fn(is_no_repetition));
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
    tell_of_panics();
}

/// From now on a panic is logged like every error: what is written to standard error may be collected by nobody,
/// and is no JSON.
fn tell_of_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if tracing::enabled!(Level::ERROR) {
            let text = panic.to_string().replace('\n', " ");
            error!("panic: {text}");
        } else {
            before(panic);
        }
    }));
}

/// Each line names its workload by itself; the spans of kube-runtime would say it again, at length.
fn is_no_span(metadata: &Metadata<'_>) -> bool {
    !metadata.is_span()
}

/// kube's client complains of each request that fails, and of an answer that it cannot read with all of it: pages of
/// objects, or a Secret. All of this comes to us as an error, and is logged where it matters.
fn is_no_repetition(metadata: &Metadata<'_>) -> bool {
    let is_known =
        ["kube_client::client", "kube_client::client::builder"].contains(&metadata.target());
    !is_known || *metadata.level() > Level::WARN
}
