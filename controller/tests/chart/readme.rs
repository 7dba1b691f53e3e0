//! The page of the chart: its values are those of `values.yaml`, with what the comments there say of them.

use std::{fmt::Write as _, fs};

use serde_json::Value;

use crate::{generated::is_up_to_date, helm::CHART};

/// What stands before the table.
const HEAD: &str = "\
# kube-autorollout

Rolls out Kubernetes workloads when the image behind an unchanged tag has changed.

```console
helm install kube-autorollout oci://ghcr.io/juv/charts/kube-autorollout --version 0.8.0 --namespace web
helm test kube-autorollout --namespace web
```

By default, the controller watches the namespace of the release and has a Role in it. Set `config.watch.namespaces` to watch other namespaces, or to `[\"*\"]` for all namespaces, which requires a ClusterRole. Values of chart 0.7 work without
changes; see [upgrading](../../docs/upgrading.md). The Secrets in `config.registries` are mounted and read again when they change. Custom CA certificates are mounted with `subPath`: restart the controller after a change.

To check images as soon as they are pushed, set `hints.receivers`; see [hints](../../docs/hints.md#with-the-chart).

To keep pods on the digests that were rolled out, whatever the tag names when they start, set `pinning.enabled`; see [pins](../../docs/pins.md).

On EKS, GKE and AKS, set `cloudIdentities` to read ECR, Artifact Registry and ACR with a role instead of Secrets; see [cloud identities](../../docs/cloud-identities.md).

See also [configuration](../../docs/configuration.md), [registries](../../docs/registries.md), [metrics](../../docs/metrics.md), [alerts](../../docs/alerts.md) and the examples in [`deploy/values`](../../deploy/values).

## Values

| value | default | description |
| --- | --- | --- |
";

/// Begins a comment about the value below.
const ABOUT: &str = "# -- ";

#[test]
fn the_page_of_the_chart_tells_of_every_value() {
    let text = fs::read_to_string(format!("{CHART}/values.yaml")).expect("readable");
    let values: Value = serde_saphyr::from_str(&text).expect("YAML");
    let mut page = HEAD.to_owned();
    let mut about = None;
    let mut path: Vec<&str> = Vec::new();
    let mut reported = 0;
    for line in text.lines() {
        let content = line.trim_start();
        if let Some(comment) = content.strip_prefix(ABOUT) {
            about = Some(comment);
        } else if let Some((key, _)) = content
            .split_once(':')
            .filter(|_| !content.starts_with('-'))
        {
            path.truncate((line.len() - content.len()) / 2);
            path.push(key);
            if let Some(about) = about.take() {
                let pointer: String = path.iter().flat_map(|key| ["/", key]).collect();
                let default = values.pointer(&pointer).expect("a value");
                writeln!(page, "| `{}` | `{default}` | {about} |", path.join(".")).expect("text");
                reported += 1;
            }
        }
    }
    assert!(reported > 50, "only {reported} values have a comment");
    is_up_to_date("charts/kube-autorollout/README.md", &page);
}

/// <https://artifacthub.io/docs/topics/annotations/helm/>
#[test]
fn the_changes_of_this_version_are_reported_as_artifact_hub_reads_them() {
    let chart = fs::read_to_string(format!("{CHART}/Chart.yaml")).expect("readable");
    let chart: Value = serde_saphyr::from_str(&chart).expect("YAML");
    let changes = chart["annotations"]["artifacthub.io/changes"].as_str();
    let changes: Value = serde_saphyr::from_str(changes.expect("changes")).expect("YAML");
    let kinds = [
        "added",
        "changed",
        "deprecated",
        "removed",
        "fixed",
        "security",
    ];
    for change in changes.as_array().expect("a list") {
        assert!(kinds.iter().any(|kind| change["kind"] == *kind), "{change}");
        assert!(change["description"].is_string(), "{change}");
    }
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}
