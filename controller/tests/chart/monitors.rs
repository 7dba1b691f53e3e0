//! A real Prometheus finds and scrapes an installed controller by the monitors that the chart renders.

use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{ResourceExt as _, api::ListParams};
use kube_autorollout_testbed::{
    Namespace, installed, programs::Program, prometheus::Prometheus, workload::eventually,
};
use serde_json::{Value, json};

use crate::{
    helm::{CHART, SOON, documents, object},
    install::{Place, RELEASE},
};

#[tokio::test]
async fn prometheus_finds_and_scrapes_the_controller_by_each_rendered_monitor() {
    let Some(program) = installed("prometheus") else {
        return;
    };
    let place = Place::new("monitors", Program::Helm3).await;
    place.helm(&["install", RELEASE, CHART, "--wait"], &json!({}));
    let values = "
service: { enabled: true }
serviceMonitor: { enabled: true, interval: 1s }
podMonitor: { enabled: true, interval: 2s }
";
    let namespace = place.namespace.name();
    let rendered = place.helm.text(RELEASE, namespace, &[], values);
    let rendered = documents(&rendered.expect("rendered"));
    let mut jobs = Vec::new();
    for kind in ["ServiceMonitor", "PodMonitor"] {
        let monitor = object(&rendered, kind, RELEASE);
        jobs.push(job(monitor, &the_pod(&place, monitor).await));
    }
    let rules = format!("{CHART}/files/alerts.yaml");
    let programs = place.testbed.programs();
    let prometheus = Prometheus::start(programs, &program, rules.as_ref(), &json!(jobs)).await;
    let prometheus = prometheus.unwrap_or_else(|error| panic!("{error}"));
    let address = format!("127.0.0.1:{}", place.port.number());
    for (kind, interval) in [("ServiceMonitor", "1s"), ("PodMonitor", "2s")] {
        let query = format!("kube_autorollout_build_info{{job='{kind}'}}");
        let scraped = eventually(SOON, kind, async || {
            match prometheus.query(&query).await.as_deref() {
                Ok([sample]) => Ok(sample.clone()),
                other => Err(format!("{other:?}")),
            }
        });
        let sample = scraped.await.unwrap_or_else(|error| panic!("{error}"));
        let labels = &sample["metric"];
        assert_eq!(labels["instance"], address, "{labels}");
        assert_eq!(labels["namespace"], namespace, "its own, as it names none");
        assert!(
            labels["pod"]
                .as_str()
                .is_some_and(|pod| pod.starts_with(RELEASE))
        );
        let targets = prometheus.get("targets").await.expect("targets");
        let targets = targets["activeTargets"].as_array().expect("a list");
        let ours: Vec<_> = targets
            .iter()
            .filter(|target| target["scrapePool"] == kind)
            .collect();
        let [target] = &*ours else { panic!("{ours:?}") };
        assert_eq!(target["scrapeInterval"], interval, "{kind}");
        assert_eq!(target["scrapeUrl"], format!("http://{address}/metrics"));
    }
}

/// Waits until a monitor selects the pod of the release, and nothing else.
async fn the_pod(place: &Place, monitor: &Value) -> Vec<Target> {
    let expected = [(place.pod().await.name_any(), i32::from(place.port.number()))];
    let selected = eventually(SOON, "a selected pod", async || {
        let targets = targets(&place.namespace, monitor).await;
        if targets == expected {
            Ok(targets)
        } else {
            Err(format!("{targets:?}"))
        }
    });
    selected.await.unwrap_or_else(|error| panic!("{error}"))
}

/// A pod and a port of it.
type Target = (String, i32);

/// What a monitor selects, as the API server's objects have it now: Debian's Prometheus has no discovery in Kubernetes.
async fn targets(namespace: &Namespace, monitor: &Value) -> Vec<Target> {
    let labels = monitor["spec"]["selector"]["matchLabels"].as_object();
    let labels = labels.expect("labels").iter();
    let labels = labels.map(|(name, value)| format!("{name}={}", value.as_str().expect("text")));
    let selected = ListParams::default().labels(&labels.collect::<Vec<_>>().join(","));
    let port = endpoint(monitor)["port"].as_str();
    if monitor["kind"] == "PodMonitor" {
        let pods = namespace.api::<Pod>().list(&selected).await.expect("pods");
        return pods.iter().flat_map(|pod| of_pod(pod, port)).collect();
    }
    let services = namespace.api::<Service>().list(&selected).await;
    let mut found = Vec::new();
    for service in services.expect("Services") {
        let label = format!("kubernetes.io/service-name={}", service.name_any());
        let slices = namespace.api::<EndpointSlice>();
        let slices = slices.list(&ListParams::default().labels(&label)).await;
        for slice in slices.expect("slices") {
            found.extend(of_slice(&slice, port));
        }
    }
    found
}

fn of_pod(pod: &Pod, port: Option<&str>) -> Vec<Target> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let named = ports.filter(|found| found.name.as_deref() == port);
    named
        .map(|found| (pod.name_any(), found.container_port))
        .collect()
}

fn of_slice(slice: &EndpointSlice, port: Option<&str>) -> Vec<Target> {
    let ports = slice.ports.iter().flatten();
    let named = ports.filter(|found| found.name.as_deref() == port);
    let named = named.filter_map(|found| found.port);
    let pods = slice.endpoints.iter().filter_map(|endpoint| {
        let pod = endpoint.target_ref.as_ref()?;
        pod.name.clone()
    });
    let pods: Vec<_> = pods.collect();
    named
        .flat_map(|port| pods.iter().map(move |pod| (pod.clone(), port)))
        .collect()
}

/// The only endpoint of a monitor.
fn endpoint(monitor: &Value) -> &Value {
    let spec = &monitor["spec"];
    let list = [&spec["endpoints"], &spec["podMetricsEndpoints"]];
    let list = list.into_iter().find_map(Value::as_array);
    let [endpoint] = &**list.expect("endpoints") else {
        panic!("one endpoint: {monitor}")
    };
    endpoint
}

/// What the Prometheus Operator makes of a monitor, as a job called after its kind
/// (<https://github.com/prometheus-operator/prometheus-operator/blob/main/pkg/prometheus/promcfg.go>).
fn job(monitor: &Value, targets: &[Target]) -> Value {
    let endpoint = endpoint(monitor);
    let target = |(pod, port): &Target| {
        // Pods of the testbed have no network of their own: their ports are those of this machine
        let labels = json!({ "namespace": monitor["metadata"]["namespace"], "pod": pod });
        json!({ "targets": [format!("127.0.0.1:{port}")], "labels": labels })
    };
    json!({
        "job_name": monitor["kind"],
        "honor_labels": endpoint["honorLabels"],
        "metrics_path": endpoint["path"],
        "scrape_interval": endpoint["interval"],
        "static_configs": targets.iter().map(target).collect::<Vec<_>>(),
    })
}
