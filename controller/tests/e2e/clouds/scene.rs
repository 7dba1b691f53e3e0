//! A world in which the registry can be read with a cloud's token only.

use std::{fs, path::Path, path::PathBuf};

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube_autorollout_testbed::{
    cloud::{
        ACR, AGENT_TOKEN, AUDIENCE, CLIENT, Clouds, ECR, ECR_PUBLIC, EVIL, GAR, GOOGLE_ACCOUNT,
        OTHER_ROLE, POD_ROLE, SERVICE_ACCOUNT_TOKEN, STATIC_KEYS, TENANT,
    },
    controller::{self, SERVICE_ACCOUNT},
    environment::with_sources,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{Controller, World},
    way::complete,
};

/// A world, and the clouds around it.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) clouds: Clouds,
    folder: TempDir,
}

/// An identity that a pod gets, and the registry that lets it in.
pub(crate) struct Identity {
    /// Whose it is, as `check` names it.
    pub(crate) whose: String,
    pub(crate) registry: &'static str,
    pub(crate) secret: Value,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Scene {
    pub(crate) async fn new(hint: &str) -> Self {
        let world = World::new(hint).await;
        let registry = world.testbed.registry().host().parse();
        let clouds = Clouds::start(registry.expect("an address")).await;
        let scene = Self {
            world,
            clouds: clouds.expect("the clouds"),
            folder: tempfile::tempdir().expect("a folder"),
        };
        scene.write("ca.crt", scene.clouds.ca_certificate());
        scene
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// IRSA on EKS.
    pub(crate) fn irsa(&self) -> Identity {
        let token = self.write("irsa", SERVICE_ACCOUNT_TOKEN);
        Identity {
            whose: format!("aws: {POD_ROLE}"),
            registry: ECR,
            secret: json!({ "type": "CloudIdentity" }),
            variables: vec![
                ("AWS_REGION", "eu-central-1".to_owned()),
                ("AWS_ROLE_ARN", POD_ROLE.to_owned()),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
            ],
        }
    }

    /// Every identity of every cloud.
    pub(crate) fn identities(&self) -> Vec<Identity> {
        let mut all = self.of_aws();
        all.push(self.of_azure());
        all.extend(self.of_google());
        all
    }

    fn of_aws(&self) -> Vec<Identity> {
        let agent = self.write("agent", AGENT_TOKEN).display().to_string();
        let uri = format!("http://{}/v1/credentials", self.clouds.local());
        let region = ("AWS_REGION", "eu-central-1".to_owned());
        let static_keys = || Identity {
            whose: "aws: arn:aws:iam::123456789012:user/static".to_owned(),
            variables: vec![
                region.clone(),
                ("AWS_ACCESS_KEY_ID", STATIC_KEYS.0.to_owned()),
                ("AWS_SECRET_ACCESS_KEY", STATIC_KEYS.1.to_owned()),
            ],
            ..self.irsa()
        };
        vec![
            self.irsa(),
            Identity {
                whose: format!("aws: {OTHER_ROLE}"),
                secret: json!({ "type": "CloudIdentity", "roleArn": OTHER_ROLE }),
                ..self.irsa()
            },
            Identity {
                variables: vec![
                    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri),
                    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", agent),
                ],
                ..self.irsa()
            },
            static_keys(),
            Identity {
                registry: ECR_PUBLIC,
                ..static_keys()
            },
        ]
    }

    fn of_azure(&self) -> Identity {
        let token = self.write("azure", SERVICE_ACCOUNT_TOKEN);
        Identity {
            whose: format!("azure: client {CLIENT}"),
            registry: ACR,
            secret: json!({ "type": "CloudIdentity" }),
            variables: vec![
                ("AZURE_CLIENT_ID", CLIENT.to_owned()),
                ("AZURE_TENANT_ID", TENANT.to_owned()),
                ("AZURE_FEDERATED_TOKEN_FILE", token.display().to_string()),
            ],
        }
    }

    /// On GKE, and elsewhere.
    fn of_google(&self) -> [Identity; 2] {
        let token = self.write("google", SERVICE_ACCOUNT_TOKEN);
        let external = json!({
            "type": "external_account",
            "audience": AUDIENCE,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "service_account_impersonation_url": format!(
                "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{GOOGLE_ACCOUNT}:generateAccessToken"
            ),
            "credential_source": { "file": token },
        });
        let external = self.write("external.json", &external.to_string());
        let external = external.display().to_string();
        let variables = [
            ("GCE_METADATA_HOST", self.clouds.local().to_owned()),
            ("GOOGLE_APPLICATION_CREDENTIALS", external),
        ];
        variables.map(|variable| Identity {
            whose: format!("gcp: {GOOGLE_ACCOUNT}"),
            registry: GAR,
            secret: json!({ "type": "CloudIdentity" }),
            variables: vec![variable],
        })
    }

    /// The configuration that asks for the world's images at an identity's registry.
    pub(crate) fn configuration(&self, identity: &Identity) -> String {
        let entry = json!({
            "hostnamePattern": self.world.testbed.registry().host(),
            "endpoint": format!("https://{}", identity.registry),
            "secret": identity.secret,
        });
        self.configuration_of(&entry)
    }

    /// The configuration with an entry.
    pub(crate) fn configuration_of(&self, entry: &Value) -> String {
        let ca = self.folder.path().join("ca.crt");
        let tls = json!({ "caCertificatePaths": [ca] });
        format!("logLevel: trace\ntls: {tls}\nregistries: [{entry}]")
    }

    /// The environment of a process with an identity.
    pub(crate) fn environment(&self, identity: &Identity) -> Vec<(&'static str, String)> {
        let proxy = format!("http://{}", self.clouds.proxy());
        let mut environment = identity.variables.clone();
        environment.push(("HTTPS_PROXY", proxy.clone()));
        environment.push(("HTTP_PROXY", proxy));
        environment
    }

    /// A controller with an identity.
    pub(crate) async fn controller(&self, identity: &Identity) -> Controller {
        self.controller_with(&self.configuration(identity), identity)
            .await
    }

    pub(crate) async fn controller_with(
        &self,
        configuration: &str,
        identity: &Identity,
    ) -> Controller {
        let world = &self.world;
        let control_plane = world.testbed.control_plane();
        let kubeconfig = control_plane.kubeconfig_for(world.namespace.name(), SERVICE_ACCOUNT);
        let kubeconfig = kubeconfig.await.expect("a kubeconfig");
        let (configuration, environment) = (complete(configuration), self.environment(identity));
        let started = controller::Controller::start(
            world.testbed.programs(),
            Path::new(env!("CARGO_BIN_EXE_kube-autorollout")),
            &kubeconfig,
            &configuration,
            "/readyz",
            &environment,
        );
        let started = started.await;
        Controller(started.unwrap_or_else(|error| panic!("{}", with_sources(&error))))
    }

    /// No secret is in what the controller says anywhere, nor in what it has sent to a host of nobody's; and the clouds
    /// found nothing wrong.
    pub(crate) async fn assert_discreet(&self, controller: &Controller) {
        let log = controller.log();
        assert!(log.contains(" TRACE "), "the level is trace");
        let events = self.world.namespace.api::<Event>();
        let events = events.list(&ListParams::default()).await.expect("Events");
        let notes = events.items.into_iter().filter_map(|event| event.note);
        let metrics = controller.0.get("/metrics").await.expect("metrics").1;
        let mut said = vec![log, metrics];
        said.extend(notes);
        for text in &said {
            for secret in self.clouds.secrets() {
                assert!(!text.contains(&secret), "{secret} is shown");
            }
            assert!(!text.contains("planted"), "something secret is shown");
        }
        for asked in self.clouds.asked() {
            assert!(asked.host != EVIL || !asked.has_secret, "{asked:?}");
        }
        assert_eq!(self.clouds.complaints(), [""; 0]);
    }
}
