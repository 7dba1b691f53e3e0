//! The Node objects and Leases, by which the scheduler uses nodes and the node lifecycle controller leaves them alone.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Node},
    apimachinery::pkg::apis::meta::v1::{MicroTime, Time},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Map, Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    clock::now,
    node::{fleet::Fleet, host::Host, options::Capacity},
};

/// The pause after a lease could not be written, as in the first second of an API server, which creates the namespace.
const RETRY: Duration = Duration::from_millis(500);

/// The field manager of the kubelet.
pub(crate) const FIELD_MANAGER: &str = "kubelet";

/// Creates the Node, or updates that of an earlier process.
pub(crate) async fn register(client: &Client, host: &Host) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let (spec, status) = (spec(host), status(host, now()));
    let node = json!({ "metadata": metadata(host), "spec": spec, "status": status });
    let node = serde_json::from_value(node).map_err(kube::Error::SerdeError)?;
    let parameters = PatchParams::apply(FIELD_MANAGER);
    match nodes.create(&PostParams::default(), &node).await {
        Err(kube::Error::Api(error)) if error.is_already_exists() => {
            let status = Patch::Strategic(json!({ "status": status }));
            nodes.patch_status(&host.name, &parameters, &status).await?;
        }
        created => drop(created?),
    }
    // Admission taints every new node until the lifecycle controller has seen it; we know that it is ready.
    let untainted = Patch::Merge(json!({ "spec": spec }));
    nodes.patch(&host.name, &parameters, &untainted).await?;
    Ok(())
}

/// Renews the leases of all nodes that are connected, and reports them ready where the control plane took them for dead.
pub(crate) async fn renew_leases(fleet: Arc<Fleet>) {
    let leases: Api<Lease> = Api::namespaced(fleet.client.clone(), "kube-node-lease");
    let nodes: Api<Node> = Api::all(fleet.client.clone());
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let mut ticks = interval(fleet.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = fleet.comings.notified() => {}
        }
        for host in fleet.hosts.iter().filter(|host| !host.is_away()) {
            let renewed = Patch::Apply(lease(host, now()));
            while let Err(error) = leases.patch(&host.name, &parameters, &renewed).await {
                tracing::debug!(node = host.name, %error, "renew the lease of a node");
                sleep(RETRY).await;
            }
        }
        if let Err(error) = report(&fleet, &nodes).await {
            tracing::debug!(%error, "report the state of nodes");
        }
    }
}

/// Reports nodes as ready that the node lifecycle controller took for dead, as kubelets do that were cut off.
async fn report(fleet: &Fleet, nodes: &Api<Node>) -> Result<(), kube::Error> {
    let parameters = PatchParams::apply(FIELD_MANAGER);
    let given_up = |node: &&Node| {
        let status = node.status.iter();
        let mut conditions = status.flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == "Ready" && condition.status != "True")
    };
    let all = nodes.list(&ListParams::default()).await?;
    for node in all.items.iter().filter(given_up) {
        let name = node.name_any();
        if fleet.host(&name).is_some_and(|host| !host.is_away()) {
            let status = Patch::Strategic(json!({ "status": { "conditions": conditions(now()) } }));
            nodes.patch_status(&name, &parameters, &status).await?;
        }
    }
    Ok(())
}

fn lease(host: &Host, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": host.name },
        "spec": {
            "holderIdentity": host.name,
            "leaseDurationSeconds": 40,
            "renewTime": MicroTime(now),
        },
    })
}

fn metadata(host: &Host) -> Value {
    let mut labels = Map::from_iter([
        ("kubernetes.io/hostname".to_owned(), json!(host.name)),
        ("kubernetes.io/os".to_owned(), json!(host.platform.os)),
        (
            "kubernetes.io/arch".to_owned(),
            json!(host.platform.architecture),
        ),
    ]);
    let reservation = host.reservation();
    labels.extend(reservation.map(|(key, pool)| (key.to_owned(), json!(pool))));
    json!({ "name": host.name, "labels": labels })
}

/// Which pods it takes. It has the taint of its pool from the beginning: the lifecycle controller writes taints back as it
/// has read them.
fn spec(host: &Host) -> Value {
    let taint = host
        .reservation()
        .map(|(key, pool)| json!([{ "key": key, "value": pool, "effect": "NoSchedule" }]));
    json!({ "taints": taint, "unschedulable": !host.schedulable })
}

fn status(host: &Host, now: Timestamp) -> Value {
    let (platform, runtime) = (&host.platform, host.runtime);
    json!({
        "addresses": [
            { "type": "InternalIP", "address": host.address },
            { "type": "Hostname", "address": host.name },
        ],
        "capacity": resources(host.capacity),
        "allocatable": resources(host.capacity),
        "conditions": conditions(now),
        "nodeInfo": {
            "operatingSystem": platform.os,
            "architecture": platform.architecture,
            "containerRuntimeVersion": format!("{}://{}", runtime.scheme(), runtime.version()),
            "kubeletVersion": "v1.34.4",
            "osImage": "simulated",
        },
    })
}

/// What the scheduler may give away; more than any test needs of what is not configured.
fn resources(capacity: Capacity) -> Value {
    json!({
        "cpu": capacity.cpus.to_string(),
        "memory": "4Ti",
        "pods": capacity.pods.to_string(),
        "ephemeral-storage": "4Ti",
    })
}

fn conditions(now: Timestamp) -> Value {
    let conditions = [
        ("Ready", "True", "KubeletReady"),
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ];
    conditions
        .map(|(kind, status, reason)| {
            json!({
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "simulated",
                "lastHeartbeatTime": Time(now),
                "lastTransitionTime": Time(now),
            })
        })
        .into_iter()
        .collect()
}
