//! Google Cloud: the metadata server, and workload identity federation.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use kube_autorollout_cloud::{Cloud, CredentialRequest};
use kube_autorollout_testbed::cloud::{
    AUDIENCE, Failure, GAR, GOOGLE_ACCOUNT, SERVICE_ACCOUNT_TOKEN, Step, Via,
};
use serde_json::{Value, json};

use crate::given::{Given, wanted};

const URL: &str = "https://europe-west3-docker.pkg.dev";

fn gar() -> CredentialRequest<'static> {
    wanted(Cloud::Gcp, GAR, URL)
}

async fn on_gke() -> Given {
    Given::new().await.variable("GCE_METADATA_HOST", "LOCAL")
}

/// A pod elsewhere, whose file has this source.
async fn federated(source: &Value, impersonates: bool) -> Given {
    let given = Given::new().await;
    let token = given.write("token", SERVICE_ACCOUNT_TOKEN);
    let source = source.to_string();
    let source = source.replace("TOKEN", &token.display().to_string());
    let source = source.replace("LOCAL", given.clouds.local());
    let source: Value = serde_json::from_str(&source).expect("JSON");
    let mut file = json!({
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": source,
    });
    if impersonates {
        file["service_account_impersonation_url"] = json!(format!(
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{GOOGLE_ACCOUNT}:generateAccessToken"
        ));
    }
    given.file("GOOGLE_APPLICATION_CREDENTIALS", &file.to_string())
}

#[tokio::test]
async fn the_metadata_server_is_used_without_a_proxy_and_identified() {
    let given = on_gke().await;
    let issued = given.issued(gar()).await;
    assert!(given.is_password_of(issued.credential(), "oauth2accesstoken"));
    assert!(format!("{issued:?}").contains(&format!("gcp: {GOOGLE_ACCOUNT}")));
    let left = issued.expires_in().expect("an end").as_secs();
    assert!((3590..=3600).contains(&left), "{left}");
    let asked = given.clouds.asked();
    assert!(
        asked.iter().all(|asked| asked.via == Via::Local),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_token_of_another_platform_is_traded_for_one_of_google() {
    let sources = [
        json!({ "file": "TOKEN" }),
        json!({ "file": "TOKEN", "format": { "type": "text" } }),
        json!({
            "url": "http://LOCAL/subject-token",
            "headers": { "x-platform": "testbed" },
            "format": { "type": "json", "subject_token_field_name": "id_token" },
        }),
    ];
    for source in sources {
        for impersonates in [false, true] {
            let given = federated(&source, impersonates).await;
            let issued = given.issued(gar()).await;
            assert!(given.is_password_of(issued.credential(), "oauth2accesstoken"));
            let whose = if impersonates {
                GOOGLE_ACCOUNT
            } else {
                "principal of //iam"
            };
            assert!(format!("{issued:?}").contains(whose), "{issued:?}");
            assert_eq!(
                given.clouds.count(Step::Impersonation),
                usize::from(impersonates)
            );
        }
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn errors_of_each_step_name_cause_and_advice() {
    let code = Failure::Code;
    let table = [
        (
            Step::Metadata,
            code(404, "not found"),
            "status 404",
            "roles/artifactregistry.reader",
        ),
        (Step::Metadata, code(503, "starting"), "status 503", "wait"),
        (
            Step::Metadata,
            Failure::Malformed,
            "no Metadata-Flavor",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            Step::Metadata,
            Failure::Redirect("https://evil.example/".to_owned()),
            "a redirect",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ];
    let given = on_gke().await;
    given.fails(gar(), &table).await;
    let asked = given.clouds.asked();
    let tries = asked.iter().filter(|asked| asked.status == 503);
    assert_eq!(tries.count(), 3, "it may only be starting");
    assert!(
        asked.iter().all(|asked| asked.host != "evil.example"),
        "{asked:?}"
    );

    let table = [
        (
            Step::GoogleSts,
            code(400, "invalid_grant"),
            "token exchange at sts.googleapis.com: invalid_grant (status 400)",
            "audience",
        ),
        (
            Step::GoogleSts,
            code(500, "internal"),
            "internal (status 500)",
            "wait",
        ),
        (
            Step::GoogleSts,
            Failure::Malformed,
            "makes no sense",
            "check the address",
        ),
        (
            Step::Impersonation,
            code(403, "PERMISSION_DENIED"),
            "impersonation of reader@acme.iam.gserviceaccount.com at iamcredentials.googleapis.com: PERMISSION_DENIED (status 403)",
            "roles/iam.workloadIdentityUser",
        ),
        (
            Step::Impersonation,
            Failure::Redirect("https://evil.example/".to_owned()),
            "a redirect",
            "not followed",
        ),
    ];
    let given = federated(&json!({ "file": "TOKEN" }), true).await;
    given.fails(gar(), &table).await;
    let asked = given.clouds.asked();
    assert!(
        asked.iter().all(|asked| asked.host != "evil.example"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_metadata_server_that_does_not_answer_costs_a_few_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let given = Given::new().await.variable("GCE_METADATA_HOST", &address);
    let begun = Instant::now();
    let error = given.issue(gar()).await.expect_err("no answer");
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        error.to_string().contains("no response within 2 s"),
        "{error}"
    );
    assert!(error.wait() <= Some(Duration::from_secs(30)), "{error:?}");
}

#[tokio::test]
async fn errors_of_sources_name_the_cause() {
    let cases = [
        (
            json!({ "file": "/no/such/file" }),
            "cannot read /no/such/file",
        ),
        (json!({}), "neither file nor url"),
        (json!({ "executable": { "command": "x" } }), "a program"),
        (json!({ "environment_id": "aws1" }), "AWS"),
        (
            json!({ "url": "http://token.example.org/" }),
            "neither https nor",
        ),
        (
            json!({ "file": "TOKEN", "format": { "type": "xml" } }),
            "no token",
        ),
    ];
    for (source, said) in cases {
        let given = federated(&source, false).await;
        let error = given.issue(gar()).await.expect_err(said);
        assert!(error.to_string().contains(said), "{error}");
        given.shows_no_secret(&format!("{error} {error:?}"));
        assert!(given.clouds.asked().is_empty(), "{said}: nobody is asked");
    }
}
