//! Reconciles workloads out of their turn.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use futures::{Stream, stream};
use tokio::sync::mpsc;

use crate::{server::health::Watch, workload::identity::Identity};

/// Hands identities to the controllers that look after them.
#[derive(Default)]
pub(crate) struct Wake {
    controllers: Mutex<HashMap<Watch, mpsc::UnboundedSender<Identity>>>,
}

impl Wake {
    /// What the controller of one watch is told to reconcile now.
    pub(crate) fn triggers(&self, watch: &Watch) -> impl Stream<Item = Identity> + Send + use<> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut controllers = self
            .controllers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        controllers.insert(watch.clone(), sender);
        stream::unfold(
            receiver,
            |mut receiver: mpsc::UnboundedReceiver<Identity>| async {
                let identity = receiver.recv().await?;
                Some((identity, receiver))
            },
        )
    }

    /// Reconciles these workloads as soon as there is a place for them.
    pub(crate) fn all(&self, identities: &HashSet<Identity>) {
        let controllers = self
            .controllers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for identity in identities {
            let own = controllers.get(&(identity.kind, Some(identity.namespace.to_string())));
            let Some(controller) = own.or_else(|| controllers.get(&(identity.kind, None))) else {
                continue;
            };
            // A controller that has ended needs no trigger.
            drop(controller.send(identity.clone()));
        }
    }
}
