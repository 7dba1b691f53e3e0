//! Outages of the servers of a control plane, and changes of their data.

use serde_json::Value;

use super::{ControlPlane, Error, components, etcd};

impl ControlPlane {
    /// Kills the API server; its data stay. Affects all who share this control plane.
    pub fn stop_api_server(&self) {
        self.api_server.kill();
    }

    /// Starts the API server again, at the same address, and with it the controller-manager and the scheduler, which in a
    /// cluster end when they cannot renew their Leases: otherwise each of their watches waits out a backoff of its own,
    /// up to a minute after an outage. Waits until all are ready.
    ///
    /// # Errors
    ///
    /// When one does not become ready; its logs are kept then.
    pub async fn start_api_server(&self) -> Result<(), Error> {
        let started = self.api_server.start().await;
        self.folder.keep_on_error(started)?;
        // Together: each takes most of a second until its caches are filled
        let others = tokio::try_join!(self.controller_manager.start(), self.scheduler.start());
        self.folder.keep_on_error(others)?;
        Ok(())
    }

    /// Makes etcd forget all revisions but the present one. A watch that begins at an earlier one is refused from then on
    /// by an API server that was not there to see what came since. Affects all who share this control plane.
    ///
    /// # Errors
    ///
    /// When etcd does not do it.
    pub async fn compact(&self) -> Result<(), Error> {
        let socket = self.folder.path().join(components::ETCD_SOCKET);
        etcd::compact(&socket).await.map_err(Error::Compact)
    }

    /// Writes objects with all that they have, at one moment and past the API server, which sees them as if it had written
    /// them. Their keys are `<plural>/<namespace>/<name>`; each has to be of another kind, as no two objects of a kind
    /// change at one moment.
    ///
    /// # Errors
    ///
    /// When etcd does not do it.
    pub async fn store(&self, objects: &[(String, Value)]) -> Result<(), Error> {
        let socket = self.folder.path().join(components::ETCD_SOCKET);
        etcd::put(&socket, objects).await.map_err(Error::Store)
    }

    /// Kills the controller-manager.
    pub fn stop_controller_manager(&self) {
        self.controller_manager.kill();
    }

    /// Starts the controller-manager again.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub async fn start_controller_manager(&self) -> Result<(), Error> {
        Ok(self.controller_manager.start().await?)
    }

    /// Makes the controller-manager stop in its tracks, as a busy one would lag. Affects all who share this control
    /// plane.
    ///
    /// # Errors
    ///
    /// When it cannot be signalled.
    pub async fn pause_controller_manager(&self) -> Result<(), Error> {
        Ok(self.controller_manager.pause().await?)
    }

    /// Lets the controller-manager go on.
    ///
    /// # Errors
    ///
    /// When it cannot be signalled.
    pub async fn resume_controller_manager(&self) -> Result<(), Error> {
        Ok(self.controller_manager.resume().await?)
    }
}
