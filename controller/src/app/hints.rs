//! The listener for hints.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinSet;
use tracing::info;

use super::{Error, listen};
use crate::{
    config::{self, Config},
    hints::{self, Checks, Forwarder, Issuers, Pipeline, Receivers},
    leader_election::{leadership::Leadership, term_scoped::TermScoped},
    metrics::Metrics,
    registry::options,
};

/// Adds the listener for hints to the `servers`, if receivers are configured.
///
/// # Errors
///
/// [`Error`] if the port cannot be opened, or no client can be built.
pub(super) async fn serve(
    config: &Config,
    environment: &BTreeMap<String, String>,
    metrics: &Arc<Metrics>,
    leadership: &Arc<Leadership>,
    servers: &mut JoinSet<()>,
) -> Result<TermScoped<Checks>, Error> {
    let checks = TermScoped::default();
    let config::Hints { port, receivers } = &config.hints;
    if receivers.is_empty() {
        return Ok(checks);
    }
    for receiver in receivers {
        metrics.hints.receiving(&receiver.settings().name);
    }
    let issuers = Issuers::new(options::external_client(config, environment)?);
    let forwarder = Forwarder::new(options::replica_client()?, Arc::clone(leadership));
    let pipeline = Pipeline::new(
        Receivers::new(receivers.iter().cloned()),
        issuers,
        forwarder,
        checks.clone(),
        Arc::clone(metrics),
    );
    let port = port.get();
    let listener = listen(port).await?;
    info!(port, receivers = receivers.len(), "listening for hints");
    servers.spawn(hints::serve(listener, Arc::new(pipeline)));
    Ok(checks)
}
