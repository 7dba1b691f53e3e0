//! The values and the commands of Helm that the pages show.

use std::{fs, path::Path};

use kube_autorollout_testbed::shared;
use serde_json::Value;

use crate::{
    configuration::Rendered,
    helm::{CHART, Helm, VERSIONS},
    pages::{all_blocks, blocks, page, pages, typed},
};

/// Where a release puts the chart, as it stands in commands.
const PUBLISHED: &str = "oci://ghcr.io/juv/charts/kube-autorollout";

/// What `values.yaml` is before a page has shown one: the file of somebody who comes from the earlier chart.
const EARLIER: &str = include_str!("values/earlier.yaml");

#[test]
fn every_block_of_values_makes_a_configuration_that_is_read() {
    let mut read = 0;
    for name in pages() {
        for values in blocks(&page(&name), "yaml values") {
            let keys = serde_saphyr::from_str::<Value>(&values).expect("YAML");
            assert!(keys.is_object(), "{name}: {values}");
            Rendered::of(&values).is_read();
            read += 1;
        }
    }
    assert!(read >= 4, "only {read} blocks were found");
}

#[test]
fn every_setting_that_is_shown_is_a_value_of_the_chart() {
    let helm = Helm::new(VERSIONS[0]);
    let mut tried = 0;
    for name in pages() {
        let text = page(&name);
        for line in text.split('`').filter(|code| code.starts_with("--set ")) {
            let setting = line.trim_start_matches("--set ").trim_matches('\'');
            let rendered = helm.text("web", "team", &["--set", setting], "{}");
            assert!(rendered.is_ok(), "{name}: {line}: {rendered:?}");
            tried += 1;
        }
    }
    assert!(tried >= 2, "only {tried} settings were found");
}

/// This API server knows no kinds of the Prometheus Operator and the Gateway API; the values that ask for them are rendered
/// by another test.
const NOT_THERE: &str =
    "podMonitor.enabled=false,prometheusRule.enabled=false,hints.httpRoute.enabled=false";

/// A command of Helm with the chart of this folder in the place of the published one, which has to be of its version.
fn with_our_chart(line: &str) -> String {
    let chart = fs::read_to_string(format!("{CHART}/Chart.yaml")).expect("readable");
    let chart: Value = serde_saphyr::from_str(&chart).expect("YAML");
    let version = chart["version"].as_str().expect("a version");
    let published = format!("{PUBLISHED} --version {version}");
    if line.contains("oci:") {
        assert!(line.contains(&published), "{line}: it is {published}");
    }
    line.replace(&published, CHART)
}

/// Runs a command of Helm as far as that changes nothing: an installation is rendered, and a release that is upgraded or
/// tested need not be there. Gives why it was not taken.
fn mistake(helm: &Helm, kubeconfig: &Path, line: &str, values: &str) -> Option<String> {
    let line = with_our_chart(line).replace("helm upgrade ", "helm upgrade --install ");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("values.yaml"), values).expect("a file");
    let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
    match &*words {
        [_] => words.push("--help"), // only mentioned
        ["install" | "upgrade", ..] => words.extend(["--dry-run=server", "--set", NOT_THERE]),
        _ => {}
    }
    let output = helm.run_in(folder.path(), kubeconfig, &words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_missed = words[0] == "test" && error.contains("not found");
    (!output.status.success() && !is_missed).then_some(error)
}

#[tokio::test]
async fn every_command_of_helm_is_taken_with_the_values_before_it() {
    let kubeconfig = shared().await.control_plane().kubeconfig();
    for version in VERSIONS {
        let helm = Helm::new(version);
        let mut taken = 0;
        let mut is_taken = |name: &str, line: &str, values: &str| {
            let mistake = mistake(&helm, kubeconfig, line, values);
            assert_eq!(mistake, None, "{version:?}: {name}: {line}");
            taken += 1;
        };
        for name in pages() {
            let text = page(&name);
            let mut values = EARLIER.to_owned();
            for block in all_blocks(&text) {
                let lines = match &*block.kind {
                    "console" => typed(&block.text),
                    "yaml values" => {
                        values = block.text;
                        continue;
                    }
                    _ => continue,
                };
                for line in lines.iter().filter(|line| line.starts_with("helm ")) {
                    is_taken(&name, line, &values);
                }
            }
            for text in text.split("```").step_by(2) {
                let code = text.split('`').skip(1).step_by(2);
                for line in code.filter(|code| code.starts_with("helm ")) {
                    is_taken(&name, line, &values);
                }
            }
        }
        assert!(taken >= 8, "only {taken} commands were found");
        for (wrong, values) in [
            ("helm install web charts/none", ""),
            ("helm list --nothing", ""),
            (
                &*format!("helm install web {CHART} --values values.yaml"),
                "nothing: true",
            ),
        ] {
            assert!(
                mistake(&helm, kubeconfig, wrong, values).is_some(),
                "{wrong}"
            );
        }
    }
}
