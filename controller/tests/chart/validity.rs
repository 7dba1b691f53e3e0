//! Whatever the values, what comes out is what Kubernetes takes: by the API server's schemas, and by the API server itself
//! where pods have to keep to the strictest level of Pod Security.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use kube::{
    Api, Client, Error,
    api::{ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective},
    core::GroupVersionKind,
};
use kube_autorollout_testbed::{Namespace, admission, programs::Program, shared};
use serde_json::{Value, json};

use crate::{
    helm::{CHART, Helm, documents},
    install::enforce,
    matrix::render,
    schemas::Schemas,
};

/// Kinds of Kyverno, the Gateway API and the Prometheus Operator, which the API server does not know.
const FOREIGN: [&str; 5] = [
    "ClusterPolicy",
    "HTTPRoute",
    "PodMonitor",
    "PrometheusRule",
    "ServiceMonitor",
];

/// A field of a rendering that does not exist, deep in what the schema of the values leaves to Kubernetes.
const MISSPELT: &str = "affinity: { nodeAffinity: { requiredDuringScheduling: {} } }";

#[tokio::test]
async fn every_rendering_is_valid_by_the_schemas_of_the_api_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let api = api().await;
    render(&Helm::new(Program::Helm4), "team", &api, folder.path());
    let objects = objects(folder.path());
    let verdicts = schemas(&objects).await.judge(folder.path(), &FOREIGN);
    assert_eq!(verdicts.len(), objects.len(), "each object is judged");
    for verdict in verdicts {
        let expected = if FOREIGN.contains(&&*verdict.kind) {
            "statusSkipped"
        } else {
            "statusValid"
        };
        assert_eq!(verdict.status, expected, "{verdict:?}");
    }
    let rendered = sources(folder.path());
    let templates = fs::read_dir(format!("{CHART}/templates")).expect("templates");
    for template in templates {
        let name = template.expect("an entry").file_name();
        let name = name.to_string_lossy();
        let makes_objects = name.ends_with(".yaml");
        assert!(
            !makes_objects || rendered.contains(&*name),
            "no case has {name}"
        );
    }
}

#[tokio::test]
async fn every_rendering_is_taken_by_the_api_server_with_pods_of_the_restricted_level() {
    let namespace = restricted("restricted").await;
    let folder = tempfile::tempdir().expect("a folder");
    let api = api().await;
    render(
        &Helm::new(Program::Helm3),
        namespace.name(),
        &api,
        folder.path(),
    );
    let client = namespace.client();
    let mut tried = BTreeSet::new();
    for (file, object) in objects(folder.path()) {
        let pod = pod_of(&object);
        for object in [object].into_iter().chain(pod) {
            if tried.insert(object.to_string()) {
                let taken = apply(&client, &object).await;
                taken.unwrap_or_else(|error| panic!("{file}: {error}: {object}"));
            }
        }
    }
    assert!(tried.len() > 50, "only {} objects were tried", tried.len());
}

#[tokio::test]
async fn a_misspelt_field_is_refused_by_the_schemas_and_by_the_api_server() {
    let namespace = restricted("misspelt").await;
    let folder = tempfile::tempdir().expect("a folder");
    let helm = Helm::new(Program::Helm3);
    let text = helm.text("web", namespace.name(), &[], MISSPELT);
    fs::write(folder.path().join("misspelt.yaml"), text.expect("rendered")).expect("a file");
    let objects = objects(folder.path());
    let verdicts = schemas(&objects).await.judge(folder.path(), &FOREIGN);
    let invalid: Vec<_> = verdicts
        .iter()
        .filter(|verdict| verdict.status == "statusInvalid")
        .collect();
    let [deployment] = &*invalid else {
        panic!("{verdicts:?}")
    };
    assert_eq!(deployment.kind, "Deployment");
    assert!(
        deployment.message.contains("requiredDuringScheduling"),
        "{deployment:?}"
    );
    let mut refused = Vec::new();
    for (_, object) in objects {
        if let Err(error) = apply(&namespace.client(), &object).await {
            refused.push(error.to_string());
        }
    }
    let [refusal] = &*refused else {
        panic!("{refused:?}")
    };
    assert!(refusal.contains("requiredDuringScheduling"), "{refusal}");
}

#[tokio::test]
async fn a_pod_that_may_be_root_is_refused_where_the_restricted_level_is_enforced() {
    let namespace = restricted("root").await;
    let helm = Helm::new(Program::Helm3);
    let values = "podSecurityContext: { runAsNonRoot: false }";
    let text = helm.text("web", namespace.name(), &[], values);
    let objects = documents(&text.expect("rendered"));
    let mut refused = Vec::new();
    for object in objects
        .iter()
        .cloned()
        .chain(objects.iter().filter_map(pod_of))
    {
        if let Err(error) = apply(&namespace.client(), &object).await {
            refused.push(error.to_string());
        }
    }
    // That of the template and that of the test
    assert_eq!(refused.len(), 2, "{refused:?}");
    for refusal in refused {
        assert!(refusal.contains("runAsNonRoot"), "{refusal}");
    }
}

/// The API that this API server has for the policy for pins.
async fn api() -> String {
    let version = admission::version(&shared().await.client()).await;
    let version = version.expect("an answer");
    format!("admissionregistration.k8s.io/{version}/MutatingAdmissionPolicy")
}

/// A namespace that refuses pods with more rights than they need.
async fn restricted(hint: &str) -> Namespace {
    let namespace = shared().await.namespace(hint).await.expect("a namespace");
    enforce(&namespace, "restricted").await;
    namespace
}

/// The schemas of all that the API server itself knows among some objects.
async fn schemas(objects: &[(String, Value)]) -> Schemas {
    let known = objects
        .iter()
        .filter(|(_, object)| !FOREIGN.contains(&object["kind"].as_str().unwrap_or_default()));
    let versions = known.filter_map(|(_, object)| object["apiVersion"].as_str());
    let versions: BTreeSet<_> = versions.collect();
    Schemas::of(&shared().await.client(), versions).await
}

/// Every object of every file of a folder, with the name of the file.
fn objects(folder: &Path) -> Vec<(String, Value)> {
    let files = texts(folder).into_iter();
    let objects = files.flat_map(|(name, text)| {
        let objects = documents(&text).into_iter();
        objects.map(move |object| (name.clone(), object))
    });
    objects.collect()
}

/// The templates that have written something.
fn sources(folder: &Path) -> BTreeSet<String> {
    let texts = texts(folder).into_values().collect::<String>();
    let sources = texts.lines().filter_map(|line| {
        let source = line.strip_prefix("# Source: ")?;
        source.split('/').nth(2)
    });
    sources.map(str::to_owned).collect()
}

fn texts(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let text = |path: &Path| {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (name, fs::read_to_string(path).expect("text"))
    };
    entries
        .map(|entry| text(&entry.expect("an entry").path()))
        .collect()
}

/// The pod that a Deployment's template makes: Pod Security only warns of templates.
fn pod_of(object: &Value) -> Option<Value> {
    let template = &object["spec"]["template"];
    let mut pod = template.as_object()?.clone();
    let metadata = object["metadata"].clone();
    pod.insert("apiVersion".to_owned(), json!("v1"));
    pod.insert("kind".to_owned(), json!("Pod"));
    let mut pod = Value::Object(pod);
    for key in ["name", "namespace"] {
        pod["metadata"][key] = metadata[key].clone();
    }
    Some(pod)
}

/// Asks the API server for all that it does with an object but for keeping it, as `kubectl apply --server-side
/// --dry-run=server` does. Foreign kinds are left out; an account is kept, as admission of its pods asks for it.
async fn apply(client: &Client, object: &Value) -> Result<(), Error> {
    let kind = object["kind"].as_str().unwrap_or_default();
    if FOREIGN.contains(&kind) {
        return Ok(());
    }
    let parameters = PatchParams {
        dry_run: kind != "ServiceAccount",
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("test")
    };
    patch(client, object, &parameters).await
}

async fn patch(client: &Client, object: &Value, parameters: &PatchParams) -> Result<(), Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&object["apiVersion"]);
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let kind = GroupVersionKind::gvk(group, version, &text(&object["kind"]));
    let resource = ApiResource::from_gvk(&kind);
    let metadata = &object["metadata"];
    let api: Api<DynamicObject> = match metadata["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = text(&metadata["name"]);
    api.patch(&name, parameters, &Patch::Apply(object)).await?;
    Ok(())
}
