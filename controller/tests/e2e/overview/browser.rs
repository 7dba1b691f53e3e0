//! Chromium, driven through its pipe (<https://chromedevtools.github.io/devtools-protocol>).

use std::{path::Path, process::Stdio, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube_autorollout_testbed::installed;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// Far longer than it takes for anything here.
const SOON: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(super) struct Browser {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Value,
    number: u64,
    /// What the page has logged, and what it has requested.
    pub(super) logged: Vec<Value>,
    pub(super) requested: Vec<String>,
    loaded: bool,
    _process: Child,
    _profile: TempDir,
}

impl Browser {
    /// Nothing where it is not installed.
    pub(super) async fn start() -> Option<Self> {
        let program = installed("chromium")?;
        let profile = tempfile::tempdir().expect("a folder");
        // It reads from descriptor 3 and writes to 4.
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"exec "$@" 3<&0 4>&1 1>&2"#, "sh"])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--remote-debugging-pipe",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("it starts");
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let mut browser = Self {
            input,
            output,
            session: Value::Null,
            number: 0,
            logged: Vec::new(),
            requested: Vec::new(),
            loaded: false,
            _process: process,
            _profile: profile,
        };
        let target = browser
            .send("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.send("Target.attachToTarget", attach).await["sessionId"].clone();
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.send(&format!("{domain}.enable"), json!({})).await;
        }
        Some(browser)
    }

    /// Opens a page in a window of this size, for people who prefer `light` or `dark`.
    pub(super) async fn open(&mut self, url: &str, (width, height): (u32, u32), scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.send("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.send(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
        self.logged.clear();
        self.requested.clear();
        self.loaded = false;
        let opened = self.send("Page.navigate", json!({ "url": url })).await;
        assert_eq!(opened["errorText"], Value::Null, "{url}");
        while !self.loaded {
            self.receive().await;
        }
    }

    /// The value of an expression in the page.
    pub(super) async fn value(&mut self, expression: &str) -> Value {
        let evaluated = json!({ "expression": expression, "returnByValue": true });
        let evaluated = self.send("Runtime.evaluate", evaluated).await;
        assert_eq!(evaluated["exceptionDetails"], Value::Null, "{expression}");
        evaluated["result"]["value"].clone()
    }

    /// Writes a screenshot of the page to a file.
    pub(super) async fn screenshot(&mut self, file: &Path) {
        let image = self
            .send("Page.captureScreenshot", json!({ "format": "png" }))
            .await;
        let image = BASE64_STANDARD.decode(image["data"].as_str().expect("an image"));
        std::fs::write(file, image.expect("base64")).expect("a file");
    }

    async fn send(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let number = self.number;
        let mut message = json!({ "id": number, "method": method, "params": parameters });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        let message = format!("{message}\0");
        self.input
            .write_all(message.as_bytes())
            .await
            .expect("sent");
        loop {
            let message = self.receive().await;
            if message["id"] == number {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].clone();
            }
        }
    }

    async fn receive(&mut self) -> Value {
        let mut message = Vec::new();
        let read = timeout(SOON, self.output.read_until(0, &mut message)).await;
        read.expect("in time").expect("a message");
        let message: Value =
            serde_json::from_slice(message.strip_suffix(b"\0").unwrap_or(&message)).expect("JSON");
        let parameters = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.loaded = true,
            Some("Log.entryAdded" | "Runtime.consoleAPICalled" | "Runtime.exceptionThrown") => {
                self.logged.push(parameters.clone());
            }
            Some("Network.requestWillBeSent") => {
                let url = parameters["request"]["url"].as_str().expect("a URL");
                self.requested.push(url.to_owned());
            }
            _ => {}
        }
        message
    }
}
