//! What holds for all clouds: how often they are asked, and what is not understood at the start.

use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering, time::Duration};

use kube_autorollout_cloud::{Cloud, Error, Identities, NoopObserver, Setup};
use kube_autorollout_registry::{IssueRequest, Proxy};
use kube_autorollout_testbed::cloud::{
    ACR, CLIENT, ECR, Failure, GAR, SERVICE_ACCOUNT_TOKEN, STATIC_KEYS, Step, TENANT,
};
use tokio::task::JoinSet;

use crate::given::{Given, wanted};

const URL: &str = "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com";

async fn pod() -> Given {
    Given::new()
        .await
        .variable("AWS_ACCESS_KEY_ID", STATIC_KEYS.0)
        .variable("AWS_SECRET_ACCESS_KEY", STATIC_KEYS.1)
}

#[tokio::test]
async fn all_registries_of_a_region_and_all_callers_share_one_fetch() {
    let given = pod().await;
    let identities = given.identities();
    let mut asking = JoinSet::new();
    for account in 0..100_u64 {
        let host = format!("{account:012}.dkr.ecr.eu-central-1.amazonaws.com");
        let provider = identities.provider(wanted(Cloud::Aws, &host, URL));
        asking.spawn(async move {
            provider
                .issue(IssueRequest::new(&host, "web"))
                .await
                .is_ok()
        });
    }
    while let Some(issued) = asking.join_next().await {
        assert!(issued.expect("no panic"));
    }
    assert_eq!(given.clouds.count(Step::EcrToken), 1);
    assert_eq!(given.counted.issued.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn permanent_failures_are_not_retried_at_once() {
    let given = pod().await;
    let failure = Failure::Code(400, "AccessDeniedException");
    given.clouds.fail(Step::EcrToken, Some(failure));
    let provider = given.provider(wanted(Cloud::Aws, ECR, URL));
    for _ in 0..10 {
        let error = provider.issue(IssueRequest::new(ECR, "web")).await;
        let wait = error.expect_err("it is refused").wait();
        assert!(wait <= Some(Duration::from_secs(30)) && wait.is_some());
    }
    assert_eq!(given.clouds.count(Step::EcrToken), 1);
    assert_eq!(given.counted.failed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn one_that_a_registry_refuses_is_issued_anew() {
    let given = pod().await;
    let provider = given.provider(wanted(Cloud::Aws, ECR, URL));
    let asked = IssueRequest::new(ECR, "web");
    let first = provider.issue(asked).await.expect("issued");
    let mut again = asked;
    again.refused = Some(first.credential());
    let second = provider.issue(again).await.expect("issued");
    assert_ne!(first.credential(), second.credential());
    again.refused = Some(second.credential());
    let third = provider.issue(again).await.expect("issued");
    assert_eq!(second.credential(), third.credential(), "not again so soon");
    assert_eq!(given.clouds.count(Step::EcrToken), 2);
}

#[tokio::test]
async fn requests_to_metadata_servers_bypass_the_proxy() {
    // The proxy would answer for both, and nobody else does.
    let agent = (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://169.254.170.23/v1/credentials",
    );
    let google = ("GCE_METADATA_HOST", "metadata.invalid");
    let gar = wanted(Cloud::Gcp, GAR, "https://europe-west3-docker.pkg.dev");
    for (wanted, (name, value)) in [(wanted(Cloud::Aws, ECR, URL), agent), (gar, google)] {
        let given = Given::new().await.variable(name, value);
        let error = given.issue(wanted).await.expect_err("nobody is there");
        assert!(
            error.to_string().contains(" at ") || error.to_string().contains(value),
            "{error}"
        );
        let asked = given.clouds.asked();
        assert!(asked.is_empty(), "{name}: {asked:?}");
    }
}

#[tokio::test]
async fn a_bundle_of_certificates_is_for_aws_alone() {
    let azure = |given: Given| {
        given
            .variable("AZURE_CLIENT_ID", CLIENT)
            .variable("AZURE_TENANT_ID", TENANT)
            .file("AZURE_FEDERATED_TOKEN_FILE", SERVICE_ACCOUNT_TOKEN)
    };
    let mut given = azure(pod().await);
    given.trusts = false;
    let aws = wanted(Cloud::Aws, ECR, URL);
    let error = given.issue(aws).await.expect_err("it is not trusted");
    assert!(error.to_string().contains("TLS"), "{error}");
    let advice = error.advice();
    assert!(advice.contains("tls.caCertificatePaths"), "{advice}");
    let ca = given.clouds.ca_certificate().to_owned();
    let given = given.file("AWS_CA_BUNDLE", &ca);
    given.issued(aws).await;
    let acr = wanted(Cloud::Azure, ACR, "https://acme.azurecr.io");
    assert!(given.issue(acr).await.is_err());
}

#[test]
fn variables_that_cannot_be_used_are_named_and_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "planted").expect("a file");
    let made = |name: &str, value: &str| {
        let setup = Setup {
            environment: &BTreeMap::from([(name.to_owned(), value.to_owned())]),
            certificates: Vec::new(),
            proxy: Proxy::default(),
            user_agent: "test/1",
            observer: Arc::new(NoopObserver),
        };
        Identities::new(setup).map(drop)
    };
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_STS",
        "AWS_ENDPOINT_URL_ECR",
    ] {
        for url in [
            "planted",
            "ftp://planted",
            "https://user:planted@a.example",
            "http://a/?planted",
        ] {
            let error = made(name, url).expect_err(url);
            assert!(matches!(error, Error::Endpoint { variable } if variable == name));
            assert!(!error.to_string().contains("planted"), "{error}");
        }
        made(name, "http://localhost:4566").expect("an endpoint");
    }
    let error = made("AWS_CA_BUNDLE", "/no/such/file").expect_err("no file");
    assert!(error.to_string().contains("AWS_CA_BUNDLE"), "{error}");
    let error = made("AWS_CA_BUNDLE", &empty.display().to_string()).expect_err("no certificate");
    assert!(matches!(error, Error::Bundle { .. }), "{error}");
    made("AWS_CA_BUNDLE", "").expect("not set");
}
