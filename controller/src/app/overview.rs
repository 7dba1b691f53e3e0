//! The HTTP service of the overview.

use std::sync::Arc;

use super::Error;
use crate::{
    controller::Context,
    leader_election::{leadership::Leadership, term_scoped::TermScoped},
    overview::{Forwarder, Handler},
    registry::options,
    server::{connections::Service, health::Health},
};

/// Serves the overview of the current term, or that of the leader.
///
/// # Errors
///
/// [`Error`] if no client for the leader can be built.
pub(super) fn service(
    context: &TermScoped<Context>,
    leadership: &Arc<Leadership>,
    health: &Arc<Health>,
    instance: &str,
) -> Result<Service, Error> {
    let client = options::replica_client()?;
    let handler = Arc::new(Handler {
        context: context.clone(),
        forwarder: Forwarder::new(client, Arc::clone(leadership)),
        health: Arc::clone(health),
        instance: instance.to_owned(),
    });
    Ok(Arc::new(move |request| {
        let handler = Arc::clone(&handler);
        Box::pin(async move { handler.respond(request).await })
    }))
}
