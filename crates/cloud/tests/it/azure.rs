//! Azure: from the ServiceAccount's token to the refresh token of a registry.

use kube_autorollout_cloud::{Cloud, CredentialRequest};
use kube_autorollout_testbed::cloud::{ACR, CLIENT, Failure, SERVICE_ACCOUNT_TOKEN, Step, TENANT};

use crate::given::{Given, wanted};

fn acr() -> CredentialRequest<'static> {
    wanted(Cloud::Azure, ACR, "https://acme.azurecr.io")
}

async fn with_workload_identity() -> Given {
    Given::new()
        .await
        .variable("AZURE_CLIENT_ID", CLIENT)
        .variable("AZURE_TENANT_ID", TENANT)
        .variable("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/")
        .file("AZURE_FEDERATED_TOKEN_FILE", SERVICE_ACCOUNT_TOKEN)
}

#[tokio::test]
async fn the_pods_identity_gets_a_refresh_token_of_the_registry() {
    let given = with_workload_identity().await;
    let issued = given.issued(acr()).await;
    let left = issued.expires_in().expect("an end").as_secs();
    assert!((3590..=3600).contains(&left), "what the token says: {left}");
    let shown = format!("{issued:?}");
    assert!(
        shown.contains("Identity(\"00000000-0000-0000-0000-000000000000\", ..)"),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("azure: client {CLIENT}")),
        "{shown}"
    );
    given.shows_no_secret(&shown);
}

#[tokio::test]
async fn each_registry_has_a_token_of_its_own() {
    let given = with_workload_identity().await;
    let identities = given.identities();
    let one = identities.provider(acr());
    let other = identities.provider(wanted(
        Cloud::Azure,
        "other.azurecr.io",
        "https://other.azurecr.io",
    ));
    assert_ne!(one.fingerprint(), other.fingerprint());
    assert_eq!(one.fingerprint(), identities.provider(acr()).fingerprint());
}

#[tokio::test]
async fn errors_of_pods_without_an_identity_name_label_and_annotation() {
    for (missing, given) in [
        ("AZURE_CLIENT_ID", Given::new().await),
        (
            "AZURE_TENANT_ID",
            Given::new().await.variable("AZURE_CLIENT_ID", CLIENT),
        ),
        (
            "AZURE_FEDERATED_TOKEN_FILE",
            with_workload_identity()
                .await
                .variable("AZURE_FEDERATED_TOKEN_FILE", ""),
        ),
    ] {
        let error = given.issue(acr()).await.expect_err(missing);
        assert!(error.to_string().contains(missing), "{error}");
        let advice = error.advice();
        assert!(advice.contains("azure.workload.identity/use"), "{advice}");
        assert!(
            advice.contains("azure.workload.identity/client-id"),
            "{advice}"
        );
    }
    let plain = with_workload_identity()
        .await
        .variable("AZURE_AUTHORITY_HOST", "http://login.example.org/");
    let error = plain.issue(acr()).await.expect_err("no TLS");
    assert!(
        error.to_string().contains("AZURE_AUTHORITY_HOST"),
        "{error}"
    );
    assert!(plain.clouds.asked().is_empty());
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn errors_of_each_step_name_cause_and_advice() {
    let code = Failure::Code;
    let table = [
        (
            Step::Entra,
            code(401, "AADSTS700213"),
            "Entra ID at login.microsoftonline.com for client 66666666-7777-8888-9999-000000000000: AADSTS700213 (status 401)",
            "federated identity credential",
        ),
        (
            Step::Entra,
            code(400, "AADSTS700016"),
            "AADSTS700016",
            "client-id",
        ),
        (
            Step::Entra,
            code(400, "AADSTS90002"),
            "AADSTS90002",
            "tenant-id",
        ),
        (
            Step::Entra,
            code(401, "AADSTS700024"),
            "AADSTS700024",
            "clock",
        ),
        (
            Step::Entra,
            code(400, "AADSTS500011"),
            "AADSTS500011",
            "AZURE_AUTHORITY_HOST",
        ),
        (
            Step::Entra,
            code(429, "AADSTS90055"),
            "AADSTS90055 (status 429)",
            "wait",
        ),
        (
            Step::Entra,
            Failure::Malformed,
            "makes no sense",
            "check the address",
        ),
        (
            Step::Entra,
            Failure::Redirect("https://evil.example/".to_owned()),
            "a redirect",
            "not followed",
        ),
        (
            Step::AcrExchange,
            code(401, "UNAUTHORIZED"),
            "token exchange at acme.azurecr.io: UNAUTHORIZED (status 401)",
            "AcrPull",
        ),
        (Step::AcrExchange, code(403, "DENIED"), "DENIED", "AcrPull"),
        (
            Step::AcrExchange,
            Failure::Malformed,
            "makes no sense",
            "check the address",
        ),
    ];
    let given = with_workload_identity().await;
    given.fails(acr(), &table).await;
    let asked = given.clouds.asked();
    assert!(
        asked.iter().all(|asked| asked.host != "evil.example"),
        "{asked:?}"
    );
}
