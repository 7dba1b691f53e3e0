//! AWS: each of the pod's identities, and what each step says when it fails.

use kube_autorollout_cloud::{Cloud, CredentialRequest};
use kube_autorollout_testbed::cloud::{
    AGENT_TOKEN, ECR, ECR_PUBLIC, Failure, OTHER_ROLE, POD_ROLE, SERVICE_ACCOUNT_TOKEN,
    STATIC_KEYS, Step, Via,
};

use crate::given::{Given, wanted};

const URL: &str = "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com";

fn ecr() -> CredentialRequest<'static> {
    wanted(Cloud::Aws, ECR, URL)
}

async fn with_irsa() -> Given {
    Given::new()
        .await
        .variable("AWS_ROLE_ARN", POD_ROLE)
        .variable("AWS_REGION", "eu-central-1")
        .file("AWS_WEB_IDENTITY_TOKEN_FILE", SERVICE_ACCOUNT_TOKEN)
}

async fn with_static_keys() -> Given {
    Given::new()
        .await
        .variable("AWS_ACCESS_KEY_ID", STATIC_KEYS.0)
        .variable("AWS_SECRET_ACCESS_KEY", STATIC_KEYS.1)
}

async fn with_pod_identity() -> Given {
    Given::new()
        .await
        .variable(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://LOCAL/v1/credentials",
        )
        .file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AGENT_TOKEN)
}

#[tokio::test]
async fn each_identity_of_the_pod_gets_a_password_of_ecr() {
    let pods = [
        (with_irsa().await, POD_ROLE),
        (
            with_static_keys().await,
            "arn:aws:iam::123456789012:user/static",
        ),
        (with_pod_identity().await, POD_ROLE),
    ];
    for (given, arn) in pods {
        let issued = given.issued(ecr()).await;
        assert!(given.is_password_of(issued.credential(), "AWS"));
        let left = issued.expires_in().expect("an end").as_secs();
        assert!((3590..=3600).contains(&left), "{left}");
        assert!(
            format!("{issued:?}").contains(&format!("aws: {arn}")),
            "{issued:?}"
        );
        given.shows_no_secret(&format!("{issued:?}"));
        assert_eq!(given.clouds.count(Step::EcrToken), 1);
    }
}

#[tokio::test]
async fn the_token_of_the_service_account_is_read_again_each_time() {
    let given = with_irsa().await;
    given.write("AWS_WEB_IDENTITY_TOKEN_FILE", "an-older-token");
    let error = given.issue(ecr()).await.expect_err("it is not accepted");
    assert!(
        error.to_string().contains("InvalidIdentityToken"),
        "{error}"
    );
    given.write(
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        &format!("{SERVICE_ACCOUNT_TOKEN}\n"),
    );
    given.issue(ecr()).await.expect("it is accepted");
}

#[tokio::test]
async fn another_role_is_assumed_with_that_of_the_pod() {
    for given in [
        with_irsa().await,
        with_static_keys().await,
        with_pod_identity().await,
    ] {
        let role_arn = Some(OTHER_ROLE);
        let issued = given.issued(CredentialRequest { role_arn, ..ecr() }).await;
        assert!(format!("{issued:?}").contains(OTHER_ROLE), "{issued:?}");
        assert_eq!(given.clouds.count(Step::AssumeRole), 1);
    }
}

#[tokio::test]
async fn the_public_gallery_has_an_api_of_its_own() {
    let given = with_static_keys().await;
    let public = wanted(Cloud::Aws, ECR_PUBLIC, "https://public.ecr.aws");
    let issued = given.issued(public).await;
    assert!(given.is_password_of(issued.credential(), "AWS"));
    assert_eq!(given.clouds.count(Step::EcrPublicToken), 1);
}

#[tokio::test]
async fn endpoints_that_the_variables_name_may_do_without_tls() {
    let given = with_irsa()
        .await
        .variable("AWS_ENDPOINT_URL", "http://LOCAL");
    given.issued(ecr()).await;
    let asked = given.clouds.asked();
    assert!(
        asked.iter().all(|asked| asked.via == Via::Local),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_host_without_a_region_uses_the_configured_one() {
    let given = with_static_keys().await;
    let mirror = wanted(
        Cloud::Aws,
        "mirror.example.org",
        "https://mirror.example.org",
    );
    let error = given.issue(mirror).await.expect_err("no region");
    assert!(
        error.advice().contains("secret.region"),
        "{}",
        error.advice()
    );
    let region = Some("eu-central-1");
    given.issued(CredentialRequest { region, ..mirror }).await;
}

#[tokio::test]
async fn errors_of_pods_without_an_identity_have_advice() {
    let cases = [
        (Given::new().await, "none of AWS_ACCESS_KEY_ID", "role-arn"),
        (
            Given::new().await.variable("AWS_ROLE_ARN", POD_ROLE),
            "AWS_WEB_IDENTITY_TOKEN_FILE is not",
            "role-arn",
        ),
        (
            Given::new().await.variable("AWS_ACCESS_KEY_ID", "AKID"),
            "AWS_SECRET_ACCESS_KEY is not",
            "both",
        ),
        (
            with_irsa()
                .await
                .variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/file"),
            "cannot read /no/such/file (AWS_WEB_IDENTITY_TOKEN_FILE)",
            "restart it",
        ),
        (
            with_irsa().await.variable("AWS_REGION", "EU/x"),
            "AWS_REGION is no region",
            "eu-central-1",
        ),
        (
            Given::new()
                .await
                .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/x"),
            "not one of an agent",
            "169.254.170.23",
        ),
    ];
    for (given, said, advised) in cases {
        let error = given.issue(ecr()).await.expect_err(said);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.advice().contains(advised), "{}", error.advice());
        assert!(given.clouds.asked().is_empty(), "{said}: nobody is asked");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn errors_of_each_step_of_irsa_name_cause_and_advice() {
    let sts = Step::AssumeRoleWithWebIdentity;
    let code = Failure::Code;
    let table = [
        (
            sts,
            code(403, "AccessDenied"),
            "AssumeRoleWithWebIdentity of arn:aws:iam::123456789012:role/kube-autorollout at sts.eu-central-1.amazonaws.com: AccessDenied (status 403)",
            "trust policy",
        ),
        (
            sts,
            code(400, "InvalidIdentityToken"),
            "InvalidIdentityToken",
            "OIDC identity provider",
        ),
        (
            sts,
            code(400, "ExpiredTokenException"),
            "ExpiredTokenException",
            "restart",
        ),
        (
            sts,
            code(400, "ValidationError"),
            "ValidationError",
            "eks.amazonaws.com/role-arn",
        ),
        (
            sts,
            code(403, "RegionDisabledException"),
            "RegionDisabledException",
            "AWS_REGION",
        ),
        (sts, code(400, "Throttling"), "Throttling", "check the role"),
        (
            sts,
            code(503, "ServiceUnavailable"),
            "ServiceUnavailable (status 503)",
            "wait",
        ),
        (
            sts,
            code(400, "a code: planted"),
            "status 400",
            "check the role",
        ),
        (
            sts,
            Failure::Malformed,
            "makes no sense",
            "check the address",
        ),
        (
            sts,
            Failure::Redirect("https://evil.example/".to_owned()),
            "a redirect",
            "not followed",
        ),
        (
            Step::EcrToken,
            code(400, "AccessDeniedException"),
            "GetAuthorizationToken at api.ecr.eu-central-1.amazonaws.com: AccessDeniedException (status 400)",
            "allow ecr:GetAuthorizationToken",
        ),
        (
            Step::EcrToken,
            code(403, "InvalidSignatureException"),
            "InvalidSignatureException",
            "clock",
        ),
        (
            Step::EcrToken,
            code(400, "UnrecognizedClientException"),
            "UnrecognizedClientException",
            "renew",
        ),
        (
            Step::EcrToken,
            code(500, "ServerException"),
            "ServerException",
            "wait",
        ),
        (
            Step::EcrToken,
            Failure::Malformed,
            "makes no sense",
            "check the address",
        ),
    ];
    let given = with_irsa().await;
    given.fails(ecr(), &table).await;
    let asked = given.clouds.asked();
    assert!(
        asked.iter().all(|asked| asked.host != "evil.example"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn errors_of_pod_identity_and_roles_name_what_is_missing() {
    let role_arn = Some(OTHER_ROLE);
    let wanted = CredentialRequest { role_arn, ..ecr() };
    let code = Failure::Code;
    let table = [
        (
            Step::PodIdentity,
            code(400, "ResourceNotFoundException"),
            "ResourceNotFoundException",
            "association",
        ),
        (
            Step::PodIdentity,
            code(500, "InternalServerException"),
            "status 500",
            "wait",
        ),
        (
            Step::PodIdentity,
            Failure::Malformed,
            "makes no sense",
            "check the address",
        ),
        (
            Step::PodIdentity,
            Failure::Redirect("https://evil.example/".to_owned()),
            "a redirect",
            "not followed",
        ),
        (
            Step::AssumeRole,
            code(403, "AccessDenied"),
            "AssumeRole of arn:aws:iam::210987654321:role/ecr-reader",
            "sts:AssumeRole",
        ),
    ];
    let given = with_pod_identity().await;
    given.fails(wanted, &table).await;
    let asked = given.clouds.asked();
    assert!(
        asked.iter().all(|asked| asked.host != "evil.example"),
        "{asked:?}"
    );
    let agent = |step| step == Some(Step::PodIdentity);
    let mut agents = asked.iter().filter(|asked| agent(asked.step));
    assert!(
        agents.all(|asked| asked.via == Via::Local),
        "never through the proxy"
    );
}

#[tokio::test]
async fn whose_keys_they_are_need_not_be_known() {
    let given = with_pod_identity().await;
    given.clouds.fail(
        Step::GetCallerIdentity,
        Some(Failure::Code(403, "AccessDenied")),
    );
    let issued = given.issue(ecr()).await.expect("issued");
    let expected = "aws: EKS Pod Identity of account 123456789012";
    assert!(format!("{issued:?}").contains(expected), "{issued:?}");
}
