//! A controller that hangs: the liveness probe of the chart has it killed, and a new process goes on.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;
use kube_autorollout_testbed::{programs::Program, workload::eventually};
use serde_json::json;

use crate::{
    helm::{CHART, SOON},
    install::{Place, RELEASE},
};

/// The only container, which is ready and has been restarted so often, and its pod.
async fn ready(place: &Place, restarts: i32) -> (Pod, ContainerStatus) {
    let found = eventually(SOON, "a process is ready", async || {
        let pod = place.pod().await;
        let status = pod.status.as_ref();
        let containers = status.and_then(|status| status.container_statuses.as_ref());
        let container = containers
            .and_then(|containers| containers.first())
            .cloned();
        let is_meant = |one: &ContainerStatus| one.ready && one.restart_count == restarts;
        match container {
            Some(container) if is_meant(&container) => Ok((pod, container)),
            other => Err(format!("{other:?}")),
        }
    });
    found.await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_controller_that_hangs_is_killed_by_the_kubelet_and_works_again() {
    let place = Place::new("liveness", Program::Helm3).await;
    let values = json!({ "livenessProbe": {
        "periodSeconds": 1,
        "timeoutSeconds": 1,
        "failureThreshold": 3,
        "terminationGracePeriodSeconds": 1,
    } });
    place.helm(&["install", RELEASE, CHART], &values);
    let (pod, first) = ready(&place, 0).await;

    let image = format!("{}:own", place.image("controller"));
    let (nodes, namespace) = (place.testbed.nodes(), place.namespace.name());
    let begin = Instant::now();
    assert!(nodes.freeze(&image, namespace, &pod.name_any(), RELEASE));
    let (same, second) = ready(&place, 1).await;
    // The second and third failure are a period after the one before, the third has its time-out, and then the grace
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(3), "{took:?}");
    assert_eq!(same.metadata.uid, pod.metadata.uid);
    assert_ne!(second.container_id, first.container_id);
    let last = second.last_state.and_then(|state| state.terminated);
    let last = last.expect("the end of the first process");
    assert_eq!(
        (last.exit_code, last.reason.as_deref()),
        (137, Some("Error"))
    );

    place.rolls_out().await;
}
