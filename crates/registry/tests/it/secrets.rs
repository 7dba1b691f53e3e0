//! Secrets are never shown.

use std::{
    io,
    sync::{Arc, Mutex},
};

use kube_autorollout_registry::{Credential, CredentialChain, Error, Proxy};
use tracing_subscriber::fmt::MakeWriter;

use crate::script::{
    Answer, ReceivedRequest, Server, build, credentials, index, resolve_with, status, tls_options,
    token,
};

/// Part of every secret here.
const PLANTED: &str = "planted";

/// The same in the base64 of `user:planted`.
const ENCODED: &str = "dXNlcjpwbGFudGVk";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("sound").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn show(error: &Error) -> String {
    let mut text = format!("{error:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Serves `web`, redirects `moved` to a signed URL, and refuses everything else.
fn registry(realm: &str, request: &ReceivedRequest) -> Answer {
    match request.target.as_str() {
        "/v2/web/manifests/1" if request.authorization().is_some() => index("{}"),
        "/v2/moved/manifests/1" if request.authorization().is_some() => {
            status(302).with("location", "http://10.0.0.1/?signature=planted")
        }
        _ => status(401).with("www-authenticate", &format!(r#"Bearer realm="{realm}""#)),
    }
}

#[tokio::test]
async fn no_secret_is_in_any_log_error_or_debug_output() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let issuer = Server::start_tls(|_| token("planted-token")).await;
    let realm = format!("https://{}/token?key=planted", issuer.host());
    let server = Server::start_tls(move |request| registry(&realm, request)).await;
    let proxy = Proxy::from_env_values("", "http://user:planted@127.0.0.1:1", "");
    let proxy = proxy.expect("an address");
    let mut shown = vec![format!("{proxy:?}")];
    let options = tls_options(&server).certificate(issuer.ca_certificate());
    let options = options.proxy(proxy);
    shown.push(format!("{options:?}"));
    let client = build(options);
    for credential in [
        Credential::password("user", PLANTED),
        Credential::bearer(PLANTED),
        Credential::identity("user", PLANTED),
    ] {
        let credentials: CredentialChain = credentials(&[credential]);
        shown.push(format!("{credentials:?} {client:?}"));
        for image in ["web:1", "secret:1", "moved:1"] {
            match resolve_with(&client, &server.image(image), &credentials).await {
                Ok(resolved) => shown.push(format!("{resolved:?}")),
                Err(error) => shown.push(show(&error)),
            }
        }
    }
    let sent =
        issuer.count(|request| request.authorization().is_some() || request.body.contains(PLANTED));
    assert!(sent >= 2, "the secrets were in use");

    let log = String::from_utf8(log.0.lock().expect("sound").clone()).expect("text");
    assert!(log.contains("TRACE"), "the log is at work");
    for (name, text) in [("log", log), ("output", shown.join("\n"))] {
        let found = text
            .lines()
            .find(|line| line.contains(PLANTED) || line.contains(ENCODED));
        assert_eq!(found, None, "{name}");
    }
}
