//! Worlds on a shared testbed, or on one of their own.

use k8s_openapi::api::rbac::v1::PolicyRule;
use kube_autorollout_testbed::{
    Bed, Namespace, alone, alone_with, control_plane::NodeGrace, controller, image::Pusher,
};

use crate::harness::World;

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
