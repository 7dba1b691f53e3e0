//! What `cloudIdentities` comes to.

use kube_autorollout_cloud::Cloud;
use kube_autorollout_registry::HostPattern;
use serde_json::{Value, json};

use crate::{
    configuration::Rendered,
    helm::{Helm, VERSIONS, object},
};

fn render(values: &str) -> Vec<Value> {
    let rendered = Helm::new(VERSIONS[0]).render(values);
    rendered.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_entries_of_a_cloud_cover_its_registries_and_come_after_the_users_own() {
    let values = "
cloudIdentities: [aws, gcp, azure]
config: { registries: [{ hostnamePattern: '210987654321.dkr.ecr.*.amazonaws.com', secret: { type: CloudIdentity, roleArn: 'arn:aws:iam::210987654321:role/reader' } }] }";
    let rendered = Rendered::of(values);
    rendered.is_read();
    let config = rendered.configuration();
    let entries = config["registries"].as_array().expect("a list");
    assert_eq!(
        entries[0]["secret"]["roleArn"],
        "arn:aws:iam::210987654321:role/reader"
    );
    let hosts = [
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
        "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
        "123456789012.dkr-ecr.eu-central-1.on.aws",
        "123456789012.dkr-ecr-fips.us-east-1.on.aws",
        "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
        "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
        "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
        "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
        "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
        "europe-west3-docker.pkg.dev",
        "gcr.io",
        "eu.gcr.io",
        "docker.s3nsregistry.fr",
        "acme.azurecr.io",
        "acme.azurecr.cn",
        "acme.azurecr.us",
    ];
    for host in hosts {
        let cloud = Cloud::of_host(host).expect(host).as_str();
        let covers = |entry: &&Value| {
            let pattern = entry["hostnamePattern"].as_str().expect("a pattern");
            let pattern: HostPattern = pattern.parse().expect("a pattern");
            pattern.matches(host)
        };
        let entry = entries.iter().find(covers).expect(host);
        let expected = json!({ "type": "CloudIdentity", "cloud": cloud });
        assert_eq!(entry["secret"], expected, "{host}");
    }
}

#[test]
fn each_cloud_sets_the_annotations_and_the_label_that_it_asks_for() {
    let of = |values: &str| {
        let objects = render(values);
        let account = object(&objects, "ServiceAccount", "web-kube-autorollout");
        let annotations = account["metadata"]["annotations"].clone();
        let deployment = object(&objects, "Deployment", "web-kube-autorollout");
        let selector = deployment["spec"]["selector"]["matchLabels"].to_string();
        assert!(
            !selector.contains("azure"),
            "it cannot be changed: {selector}"
        );
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        (annotations, labels["azure.workload.identity/use"].clone())
    };
    assert_eq!(of("{}"), (Value::Null, Value::Null));
    assert_eq!(
        of("cloudIdentities: [aws, gcp]"),
        (Value::Null, Value::Null)
    );
    let azure =
        "{ cloudIdentities: [azure], cloudIdentity: { azure: { clientId: c, tenantId: t } } }";
    let annotations = json!({
        "azure.workload.identity/client-id": "c",
        "azure.workload.identity/tenant-id": "t",
    });
    assert_eq!(of(azure), (annotations, json!("true")));
    let others = "{ cloudIdentities: [aws, gcp], cloudIdentity: { aws: { roleArn: r }, gcp: { serviceAccount: s }, azure: { clientId: c } } }";
    let annotations = json!({
        "eks.amazonaws.com/role-arn": "r",
        "iam.gke.io/gcp-service-account": "s",
    });
    assert_eq!(of(others), (annotations, Value::Null));
    let own = "{ cloudIdentities: [aws], cloudIdentity: { aws: { roleArn: r } }, serviceAccount: { annotations: { eks.amazonaws.com/role-arn: own, a: b } } }";
    let annotations = json!({ "eks.amazonaws.com/role-arn": "own", "a": "b" });
    assert_eq!(of(own), (annotations, Value::Null), "the user's own counts");
}

#[test]
fn egress_is_permitted_to_the_metadata_addresses_of_the_clouds_that_are_used() {
    let of = |values: &str| {
        let policy = format!(
            "{{ networkPolicy: {{ enabled: true, egress: {{ enabled: true, rules: [{{ ports: [{{ port: 5000 }}] }}] }} }}, {values} }}"
        );
        let objects = render(&policy);
        object(&objects, "NetworkPolicy", "web-kube-autorollout")["spec"].clone()
    };
    let none = of("cloudIdentities: []");
    assert_eq!(none["policyTypes"], json!(["Ingress", "Egress"]));
    let text = none["egress"].to_string();
    for port in ["53", "443", "6443", "5000"] {
        assert!(text.contains(&format!("\"port\":{port}")), "{text}");
    }
    assert!(!text.contains("169.254"), "{text}");
    let addresses = [
        ("aws", &["169.254.170.23/32", "fd00:ec2::23/128"][..]),
        ("gcp", &["169.254.169.254/32", "169.254.169.252/32"]),
        ("azure", &[]),
    ];
    for (cloud, expected) in addresses {
        let text = of(&format!("cloudIdentities: [{cloud}]"))["egress"].to_string();
        assert_eq!(
            text.matches("cidr").count(),
            expected.len(),
            "{cloud}: {text}"
        );
        for address in expected {
            assert!(text.contains(address), "{cloud}: {text}");
        }
    }
    let objects = render("networkPolicy: { enabled: true }");
    let policy = object(&objects, "NetworkPolicy", "web-kube-autorollout");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress"]));
    assert!(policy["spec"]["egress"].is_null());
}

#[test]
fn a_cloud_that_is_not_known_is_refused_by_its_key() {
    for version in VERSIONS {
        for values in [
            "cloudIdentities: [ibm]",
            "cloudIdentities: [aws, aws]",
            "cloudIdentity: { aws: { role: x } }",
            "config: { registries: [{ hostnamePattern: a, secret: { type: CloudIdentity, cloud: ibm } }] }",
        ] {
            let message = Helm::new(version).render(values).expect_err(values);
            let key = if values.starts_with("config") {
                "cloud"
            } else {
                "cloudIdentit"
            };
            assert!(message.contains(key), "{version:?}: {values}: {message}");
        }
    }
}
