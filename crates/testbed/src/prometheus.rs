//! A real Prometheus on loopback.

use std::{fs, io, path::Path};

use form_urlencoded::Serializer;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    client,
    process::{self, Folder, Launch, Port, Server},
    programs::Programs,
};

/// Why Prometheus did not start or did not respond.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder, a file or a port could not be allocated.
    #[error("could not prepare the files of Prometheus")]
    Files(#[from] io::Error),
    /// The process did not start.
    #[error("Prometheus is not there")]
    Server(#[from] process::Error),
    /// It gave no response, or refused the question.
    #[error("could not get {path} from Prometheus: {answer}")]
    Answer {
        /// What it was asked.
        path: String,
        /// The response.
        answer: String,
    },
}

/// A running Prometheus, killed on drop.
pub struct Prometheus {
    server: Server,
    port: Port,
    // After the server, so that it is removed when that is gone
    folder: Folder,
}

impl Prometheus {
    /// Starts the installed `program` with a file of rules and a list of jobs, as they stand under `scrape_configs`.
    ///
    /// # Errors
    ///
    /// When it ends or does not become ready: its log is kept then.
    pub async fn start(
        programs: &Programs,
        program: &Path,
        rules: &Path,
        jobs: &Value,
    ) -> Result<Self, Error> {
        let folder = Folder::new()?;
        let port = Port::reserve(&programs.ports())?;
        let address = format!("127.0.0.1:{}", port.number());
        let settings = settings(rules, jobs);
        fs::write(folder.path().join("prometheus.yml"), settings.to_string())?;
        let launch = Launch {
            name: "prometheus",
            program: program.to_owned(),
            arguments: vec![
                "--config.file=prometheus.yml".to_owned(),
                "--storage.tsdb.path=data".to_owned(),
                format!("--web.listen-address={address}"),
            ],
            environment: Vec::new(),
            folder: folder.path().to_owned(),
        };
        let server = Server::new(launch, move || {
            let url = format!("http://{address}/-/ready");
            Box::pin(async move {
                let answer = client::get(&url).await;
                answer.is_some_and(|(status, _)| status == StatusCode::OK)
            })
        });
        let prometheus = Self {
            server,
            port,
            folder,
        };
        let started = prometheus.server.start().await;
        prometheus.folder.keep_on_error(started)?;
        Ok(prometheus)
    }

    /// Where people open it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// The samples of an expression at present (<https://prometheus.io/docs/prometheus/latest/querying/api/>).
    ///
    /// # Errors
    ///
    /// When it is not an expression, or there is no response.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>, Error> {
        let question = Serializer::new(String::new())
            .append_pair("query", expression)
            .finish();
        let answer = self.get(&format!("query?{question}")).await?;
        let samples = answer.get("result").and_then(Value::as_array);
        Ok(samples.cloned().unwrap_or_default())
    }

    /// The `data` of its API's response to `path`: `targets`, `rules` and the like.
    ///
    /// # Errors
    ///
    /// When there is no response, or it is an error.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        let answer = client::get(&format!("{}/api/v1/{path}", self.url())).await;
        let body = answer.map_or_else(|| "no response".to_owned(), |(_, body)| body);
        let parsed: Value = serde_json::from_str(&body).unwrap_or_default();
        let data = parsed.get("data").cloned();
        data.ok_or_else(|| Error::Answer {
            path: path.to_owned(),
            answer: body,
        })
    }
}

/// A list with one job that scrapes `target`, a host and port, as a `ServiceMonitor` with `honorLabels` asks for. `labels`
/// are those that an operator's service discovery would give the target.
pub fn one_target(target: &str, labels: &[(&str, &str)]) -> Value {
    let labels: serde_json::Map<_, _> = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!([{
        "job_name": "kube-autorollout",
        "metrics_path": "/metrics",
        "honor_labels": true,
        "static_configs": [{ "targets": [target], "labels": labels }],
    }])
}

/// The configuration file (<https://prometheus.io/docs/prometheus/latest/configuration/configuration/>), in JSON,
/// which is YAML.
fn settings(rules: &Path, jobs: &Value) -> Value {
    json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
        "rule_files": [rules],
        "scrape_configs": jobs,
    })
}
