//! Secrets of the type `CloudIdentity`.

use kube_autorollout_cloud::Cloud;

use super::{Given, check_problems};
use crate::config::Secret;

fn entry(pattern: &str, secret: &str) -> String {
    format!("registries: [{{hostnamePattern: '{pattern}', secret: {secret}}}]")
}

#[test]
fn the_cloud_is_configured_or_that_of_the_host() {
    let table = [
        (
            "*.dkr.ecr.*.amazonaws.com",
            "{type: CloudIdentity}",
            None,
            None,
            None,
        ),
        ("acme.azurecr.io", "{type: CloudIdentity}", None, None, None),
        (
            "acme.azurecr.io",
            "{type: CloudIdentity, cloud: azure}",
            Some(Cloud::Azure),
            None,
            None,
        ),
        ("*", "{type: CloudIdentity, cloud: }", None, None, None),
        (
            "mirror.example.org",
            "{type: CloudIdentity, cloud: aws, region: eu-central-1, roleArn: 'arn:aws:iam::123456789012:role/reader'}",
            Some(Cloud::Aws),
            Some("eu-central-1"),
            Some("arn:aws:iam::123456789012:role/reader"),
        ),
        (
            "mirror.example.org",
            "{type: CloudIdentity, cloud: gcp}",
            Some(Cloud::Gcp),
            None,
            None,
        ),
    ];
    for (pattern, secret, cloud, region, role_arn) in table {
        let loaded = Given::new().load(&entry(pattern, secret)).expect(secret);
        let expected = Secret::CloudIdentity {
            cloud,
            region: region.map(str::to_owned),
            role_arn: role_arn.map(str::to_owned),
        };
        assert_eq!(loaded.config.registries[0].secret, expected, "{secret}");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn the_host_of_an_endpoint_determines_the_cloud() {
    let given = Given::new();
    let text = "registries: [{hostnamePattern: images.example.org, endpoint: 'https://acme.azurecr.io', secret: {type: CloudIdentity}}]";
    assert!(given.problems(text).is_empty());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn an_unknown_cloud_or_region_is_a_problem() {
    let of = |pattern: &str, secret: &str, key: &str, what: &str| {
        let problem = format!("registries[0].secret.{key} (in DIR/config.yaml): {what}");
        let problem = if what.is_empty() {
            String::new()
        } else {
            problem
        };
        (entry(pattern, secret), problem)
    };
    let mirror = "mirror.example.org";
    let ecr = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    let region = "a region of AWS such as eu-central-1";
    let role = "the ARN of a role such as arn:aws:iam::123456789012:role/ecr-reader";
    let table = [
        of(
            mirror,
            "{type: CloudIdentity}",
            "cloud",
            "required; allowed: aws, gcp or azure",
        ),
        of(
            &format!("{ecr}.evil.example"),
            "{type: CloudIdentity}",
            "cloud",
            "required; allowed: aws, gcp or azure",
        ),
        of(
            mirror,
            "{type: CloudIdentity, cloud: ibm}",
            "cloud",
            "found \"ibm\"; allowed: aws, gcp or azure",
        ),
        of(
            ecr,
            "{type: CloudIdentity, cloud: gcp}",
            "cloud",
            "found \"gcp\"; allowed: aws, as the host is one of its registries",
        ),
        of(
            mirror,
            "{type: CloudIdentity, cloud: aws}",
            "region",
            &format!("required; allowed: {region}"),
        ),
        of(
            mirror,
            "{type: CloudIdentity, cloud: aws, region: EU/x}",
            "region",
            &format!("found \"EU/x\"; allowed: {region}"),
        ),
        of(
            ecr,
            "{type: CloudIdentity, roleArn: reader}",
            "roleArn",
            &format!("found \"reader\"; allowed: {role}"),
        ),
        of(
            "*",
            "{cloud: aws}",
            "type",
            "required; allowed: ImagePullSecret, Opaque, CloudIdentity or None",
        ),
    ];
    let table: Vec<_> = table
        .iter()
        .map(|(text, problem)| (&**text, &**problem))
        .collect();
    check_problems(&Given::new(), &table);
}

#[test]
fn unused_keys_of_a_cloud_are_warnings() {
    let table = [
        (
            "{type: CloudIdentity, token: not-to-be-shown}",
            ".secret.token",
            "is ignored for this type of secret",
        ),
        (
            "{type: CloudIdentity, region: eu-central-1}",
            ".secret.region",
            "is ignored for this cloud",
        ),
        (
            "{type: None, cloud: aws}",
            ".secret.cloud",
            "is ignored for this type of secret",
        ),
    ];
    for (secret, key, remark) in table {
        let given = Given::new();
        let loaded = given.load(&entry("acme.azurecr.io", secret)).expect(secret);
        let file = given.path("config.yaml");
        let expected = format!("registries[0]{key} (in {}): {remark}", file.display());
        assert_eq!(loaded.warnings, [expected]);
    }
    for place in ["plainHttp: true", "endpoint: 'http://127.0.0.1:5000'"] {
        let text = format!(
            "registries: [{{hostnamePattern: acme.azurecr.io, {place}, secret: {{type: CloudIdentity}}}}]"
        );
        let loaded = Given::new().load(&text).expect(place);
        assert!(
            loaded.warnings[0].ends_with("without TLS"),
            "{:?}",
            loaded.warnings
        );
    }
}
