//! What makes the scheduler use a node and the node lifecycle controller leave it alone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::{Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, NodeSystemInfo, Taint},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{MicroTime, Time},
    },
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::node::{fleet::Fleet, host::Host, options::Capacity};

use crate::clock::now;

/// After a lease could not be written, as in the first second of an API server, which makes the namespace.
const RETRY: Duration = Duration::from_millis(500);

/// The field manager of the kubelet.
pub(crate) const FIELD_MANAGER: &str = "kubelet";

/// Creates the Node, or brings one of an earlier process up to date.
pub(crate) async fn register(client: &Client, host: &Host) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let node = node(host, now());
    let status = Patch::Strategic(json!({ "status": &node.status }));
    let parameters = PatchParams::apply(FIELD_MANAGER);
    match nodes.create(&PostParams::default(), &node).await {
        Err(kube::Error::Api(error)) if error.is_already_exists() => {
            nodes.patch_status(&host.name, &parameters, &status).await?;
        }
        created => drop(created?),
    }
    // Admission taints every new node until the lifecycle controller has seen it; we know that it is ready.
    let NodeSpec {
        taints,
        unschedulable,
        ..
    } = spec(host);
    let spec = json!({ "taints": taints, "unschedulable": unschedulable });
    let untainted = Patch::Merge(json!({ "spec": spec }));
    nodes.patch(&host.name, &parameters, &untainted).await?;
    Ok(())
}

/// Renews the leases of all nodes that are there for ever, and reports them ready where they were given up meanwhile.
pub(crate) async fn renew_leases(fleet: Arc<Fleet>) {
    let leases: Api<Lease> = Api::namespaced(fleet.client().clone(), "kube-node-lease");
    let nodes: Api<Node> = Api::all(fleet.client().clone());
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let mut ticks = interval(fleet.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = fleet.comings.notified() => {}
        }
        for host in fleet.hosts().iter().filter(|host| !host.is_away()) {
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

fn lease(host: &Host, now: Timestamp) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(host.name.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(host.name.clone()),
            lease_duration_seconds: Some(40),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
    }
}

fn node(host: &Host, now: Timestamp) -> Node {
    let platform = &host.platform;
    let labels = [
        ("kubernetes.io/hostname", &host.name),
        ("kubernetes.io/os", &platform.os),
        ("kubernetes.io/arch", &platform.architecture),
    ];
    let labels = labels.map(|(key, value)| (key, value.as_str())).into_iter();
    let labels = labels
        .chain(host.reservation())
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    Node {
        metadata: ObjectMeta {
            name: Some(host.name.clone()),
            labels: Some(labels.collect()),
            ..ObjectMeta::default()
        },
        spec: Some(spec(host)),
        status: Some(NodeStatus {
            addresses: Some(addresses(host)),
            capacity: Some(resources(host.capacity)),
            allocatable: Some(resources(host.capacity)),
            conditions: Some(conditions(now)),
            node_info: Some(system(host)),
            ..NodeStatus::default()
        }),
    }
}

/// Which pods it takes. It has the taint of its pool from the beginning: the lifecycle controller writes taints back as it
/// has read them.
fn spec(host: &Host) -> NodeSpec {
    let taint = host.reservation().map(|(key, pool)| Taint {
        key: key.to_owned(),
        value: Some(pool.to_owned()),
        effect: "NoSchedule".to_owned(),
        time_added: None,
    });
    NodeSpec {
        taints: taint.map(|taint| vec![taint]),
        unschedulable: Some(!host.schedulable),
        ..NodeSpec::default()
    }
}

fn addresses(host: &Host) -> Vec<NodeAddress> {
    [
        ("InternalIP", host.address.to_string()),
        ("Hostname", host.name.clone()),
    ]
    .map(|(type_, address)| NodeAddress {
        type_: type_.to_owned(),
        address,
    })
    .to_vec()
}

/// What the scheduler may give away; of what is not counted in tests more than any needs.
fn resources(capacity: Capacity) -> BTreeMap<String, Quantity> {
    [
        ("cpu", capacity.cpus.to_string()),
        ("memory", "4Ti".to_owned()),
        ("pods", capacity.pods.to_string()),
        ("ephemeral-storage", "4Ti".to_owned()),
    ]
    .map(|(resource, amount)| (resource.to_owned(), Quantity(amount)))
    .into()
}

fn conditions(now: Timestamp) -> Vec<NodeCondition> {
    [
        ("Ready", "True", "KubeletReady"),
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ]
    .map(|(type_, status, reason)| NodeCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some("simulated".to_owned()),
        last_heartbeat_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    })
    .to_vec()
}

fn system(host: &Host) -> NodeSystemInfo {
    NodeSystemInfo {
        operating_system: host.platform.os.clone(),
        architecture: host.platform.architecture.clone(),
        container_runtime_version: format!(
            "{}://{}",
            host.runtime.scheme(),
            host.runtime.version()
        ),
        kubelet_version: "v1.34.4".to_owned(),
        os_image: "simulated".to_owned(),
        ..NodeSystemInfo::default()
    }
}
