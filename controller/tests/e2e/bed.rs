//! On which testbed a world is.

use std::ops::Deref;

use k8s_openapi::api::rbac::v1::PolicyRule;
use kube_autorollout_testbed::{
    Namespace, Testbed, alone, alone_with, control_plane::NodeGrace, controller, image::Pusher,
};

use crate::harness::World;

/// A testbed, whosever it is.
pub(crate) enum Bed {
    /// That of all tests.
    Shared(&'static Testbed),
    /// The test's own, for faults that would disturb the others.
    Own(Box<Testbed>),
}

impl Deref for Bed {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        match self {
            Self::Shared(testbed) => testbed,
            Self::Own(testbed) => testbed,
        }
    }
}

impl World {
    /// On a testbed of its own.
    pub(crate) async fn alone(hint: &str) -> Self {
        let testbed = Bed::Own(Box::new(alone().await));
        Self::on(testbed, hint, controller::rights(&[])).await
    }

    /// On a testbed of its own, which takes silent nodes for dead after seconds.
    pub(crate) async fn with_nodes_that_die(hint: &str) -> Self {
        let testbed = Bed::Own(Box::new(alone_with(NodeGrace::QUICK).await));
        Self::on(testbed, hint, controller::rights(&[])).await
    }

    /// On this testbed.
    pub(crate) async fn on(testbed: Bed, hint: &str, rules: Vec<PolicyRule>) -> Self {
        let namespace = testbed.namespace(hint).await.expect("a namespace");
        let granted = controller::grant(namespace.client(), namespace.name(), rules).await;
        granted.expect("a role");
        Self::around(testbed, namespace)
    }

    /// Around a new namespace in which the controller has its rights.
    pub(crate) fn around(testbed: Bed, namespace: Namespace) -> Self {
        let pusher = Pusher::new(testbed.registry().host()).expect("a pusher");
        let begun = testbed.control_plane().audit().mark();
        Self {
            testbed,
            namespace,
            pusher,
            begun: begun.expect("the audit log"),
        }
    }
}
