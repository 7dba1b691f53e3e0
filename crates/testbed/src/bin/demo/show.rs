//! What the demo shows of a rollout.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube_autorollout_testbed::{
    Namespace, Testbed,
    control_plane::Request,
    controller::{self, Controller},
    program::Failure,
    workload::eventually,
};

use super::terminal::{self, Terminal};

/// How long the cluster or the controller may take for one step.
pub(super) const SOON: Duration = Duration::from_secs(90);

/// The Deployment that is rolled out.
pub(super) const DEPLOYMENT: &str = "web";

/// The images that the pods run.
pub(super) fn running(testbed: &Testbed, namespace: &Namespace) {
    for container in testbed.nodes().running(namespace.name()) {
        let digest = container.pulled_digest.map(|digest| digest.to_string());
        terminal::detail(format_args!(
            "{} on {} runs {}",
            container.pod,
            container.node,
            digest.unwrap_or(container.image_id)
        ));
    }
}

/// The controller's Events about the rollout, once it is complete.
pub(super) async fn events(terminal: &mut Terminal, namespace: &Namespace) -> Result<(), Failure> {
    let events = namespace.api::<Event>();
    let title = "Read the controller's Events";
    let notes = terminal
        .step(title, async |_| {
            eventually(SOON, "the Event RolloutCompleted", async || {
                let list = events.list(&ListParams::default()).await;
                let list = list.map_err(|error| error.to_string())?;
                let mut all = list.items;
                all.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
                let ours: Vec<(String, String)> = all
                    .into_iter()
                    .filter_map(|event| Some((event.reason?, event.note?)))
                    .filter(|(reason, _)| reason.starts_with("Rollout"))
                    .collect();
                if ours.iter().any(|(reason, _)| reason == "RolloutCompleted") {
                    Ok(ours)
                } else {
                    Err(format!("{ours:?}"))
                }
            })
            .await
        })
        .await?;
    for (reason, note) in notes {
        terminal::detail(format_args!("{reason}: {note}"));
    }
    Ok(())
}

/// How soon the patch came after the push had ended.
pub(super) fn patch(
    testbed: &Testbed,
    namespace: &Namespace,
    pushed: Timestamp,
) -> Result<(), Failure> {
    if let Some(patch) = patches(testbed, namespace)?.first() {
        let took = patch.at.duration_since(pushed).as_secs_f64();
        terminal::detail(format_args!(
            "The Deployment was patched {took:.2} s after the push: the registry had announced it."
        ));
    }
    Ok(())
}

/// The controller's patches of the Deployment, as the API server has logged them.
fn patches(testbed: &Testbed, namespace: &Namespace) -> Result<Vec<Request>, Failure> {
    let user = controller::user(namespace.name());
    let is_patch = |request: &Request| {
        request.user == user && request.verb == "patch" && request.resource == "deployments"
    };
    Ok(testbed.control_plane().audit().requests(is_patch)?)
}

/// The controller's requests in the logs of the servers.
pub(super) fn requests(testbed: &Testbed, namespace: &Namespace) -> Result<(), Failure> {
    let patches = patches(testbed, namespace)?.len();
    let requests = testbed.registry().log().requests()?;
    let ours = |method| {
        let ours = requests
            .iter()
            .filter(|request| request.user_agent.starts_with("kube-autorollout"));
        ours.filter(|request| request.method == method).count()
    };
    terminal::line("");
    terminal::detail(format_args!(
        "The API server has seen {patches} patch of the Deployment, the registry {} HEAD and {} GET requests.",
        ours("HEAD"),
        ours("GET"),
    ));
    Ok(())
}

/// Three metrics that sum it up.
pub(super) async fn metrics(controller: &Controller) -> Result<(), Failure> {
    let metrics = controller.metrics().await?;
    terminal::line("");
    let shown: [(&str, &[(&str, &str)]); 3] = [
        (
            "kube_autorollout_rollouts_total",
            &[("outcome", "triggered")],
        ),
        (
            "kube_autorollout_rollouts_total",
            &[("outcome", "completed")],
        ),
        (
            "kube_autorollout_workload_outdated",
            &[("name", DEPLOYMENT)],
        ),
    ];
    for (name, labels) in shown {
        for line in metrics.lines(name, labels) {
            terminal::detail(line);
        }
    }
    terminal::line("");
    Ok(())
}
