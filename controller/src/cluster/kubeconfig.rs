//! Kubeconfigs, as `kubectl` reads them
//! (<https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>).

mod entries;

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
};

use http::uri::InvalidUri;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{access::Access, yaml};
use entries::{Cluster, Context, User};

/// Why no kubeconfig leads to an API server. None of them shows a value, as those may be secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// There is none.
    #[error("there is no file that KUBECONFIG names, and no ~/.kube/config")]
    Nowhere,
    /// It is there and cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not YAML.
    #[error("{} is not YAML", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<serde_saphyr::Error>,
    },
    /// No context is chosen.
    #[error("the kubeconfig has no current-context")]
    NoContext,
    /// What is chosen is not there.
    #[error("the kubeconfig has no {kind} {name:?}")]
    Missing {
        /// What is named.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// An entry is not how entries are.
    #[error("{kind} {name:?} of the kubeconfig cannot be read: {reason}")]
    Entry {
        /// What is named.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The cluster has no address that could be asked.
    #[error("the kubeconfig's server is no address")]
    Server(#[from] InvalidUri),
}

/// One YAML document, and the folder that its paths are relative to.
struct Document {
    folder: PathBuf,
    content: Value,
}

/// What an entry is called, and where entries of its kind are.
#[derive(Clone, Copy)]
struct Kind {
    list: &'static str,
    name: &'static str,
}

const CONTEXT: Kind = Kind {
    list: "contexts",
    name: "context",
};
const CLUSTER: Kind = Kind {
    list: "clusters",
    name: "cluster",
};
const USER: Kind = Kind {
    list: "users",
    name: "user",
};

/// As the current context says.
///
/// # Errors
///
/// [`Error`] when there is no kubeconfig, or none that leads to an API server.
pub(super) fn read(environment: &BTreeMap<String, String>) -> Result<Access, Error> {
    let mut documents = Vec::new();
    for path in paths(environment) {
        documents.extend(load(&path)?);
    }
    if documents.is_empty() {
        return Err(Error::Nowhere);
    }
    access(&documents)
}

/// The files of `KUBECONFIG`, else the one that `kubectl` writes.
fn paths(environment: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let named = environment.get("KUBECONFIG").map(String::as_str);
    let named: Vec<PathBuf> = env::split_paths(named.unwrap_or_default())
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if !named.is_empty() {
        return named;
    }
    let home = environment.get("HOME");
    home.map(|home| Path::new(home).join(".kube/config"))
        .into_iter()
        .collect()
}

/// The documents of a file; none when there is no such file.
fn load(path: &Path) -> Result<Vec<Document>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            let path = path.to_owned();
            return Err(Error::Read { path, source });
        }
    };
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let documents = yaml(&text).map_err(|source| Error::Yaml {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let document = |content| Document {
        folder: folder.clone(),
        content,
    };
    Ok(documents.into_iter().map(document).collect())
}

fn access(documents: &[Document]) -> Result<Access, Error> {
    let current = documents
        .iter()
        .filter_map(|document| document.content.get("current-context")?.as_str())
        .find(|name| !name.is_empty())
        .ok_or(Error::NoContext)?;
    let (_, context) =
        entry::<Context>(documents, CONTEXT, current)?.ok_or_else(|| missing(CONTEXT, current))?;
    let name = context.cluster.as_str();
    let (folder, cluster) =
        entry::<Cluster>(documents, CLUSTER, name)?.ok_or_else(|| missing(CLUSTER, name))?;
    let invalid = |reason| invalid(CLUSTER, name, reason);
    let server = cluster.server.parse()?;
    let authority = cluster.authority(folder).map_err(invalid)?;
    let about = || cluster.about(folder);
    let name = context.user.as_deref().unwrap_or_default();
    // Nobody is somebody, too: a proxy on the way may know who comes
    let user = entry::<User>(documents, USER, name)?;
    let (folder, user) = user.unwrap_or_else(|| (folder, User::default()));
    let invalid = |reason| self::invalid(USER, name, reason);
    let (identity, headers) = (user.identity(folder), user.headers());
    let credential = user.credential(folder, about);
    Ok(Access {
        server,
        namespace: context.namespace.filter(|namespace| !namespace.is_empty()),
        proxy: cluster.proxy_url.filter(|proxy| !proxy.is_empty()),
        authority,
        server_name: cluster.tls_server_name.filter(|name| !name.is_empty()),
        identity: identity.map_err(invalid)?,
        headers: headers.map_err(invalid)?,
        credential: credential.map_err(invalid)?,
    })
}

/// The first entry of a name in all documents, and the folder of its file.
fn entry<'d, T: DeserializeOwned>(
    documents: &'d [Document],
    kind: Kind,
    name: &str,
) -> Result<Option<(&'d Path, T)>, Error> {
    let found = documents.iter().find_map(|document| {
        let entries = document.content.get(kind.list)?.as_array()?;
        let is_it = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some(name);
        let content = entries.iter().find(is_it)?.get(kind.name)?;
        (!content.is_null()).then_some((document.folder.as_path(), content))
    });
    let Some((folder, content)) = found else {
        return Ok(None);
    };
    let entry = serde_json::from_value(content.clone());
    let entry = entry.map_err(|error| invalid(kind, name, reason::<T>(content, &error)))?;
    Ok(Some((folder, entry)))
}

/// Why an entry cannot be read, without the value that serde shows: it may be a password of digits.
fn reason<T: DeserializeOwned>(entry: &Value, error: &serde_json::Error) -> String {
    let error = error.to_string();
    if error.starts_with("missing field") {
        return error; // it names our own field
    }
    let Some(keys) = entry.as_object() else {
        return "it is no mapping".to_owned();
    };
    let is_wrong = |key: &&String| {
        let mut others = keys.clone();
        others.remove(*key);
        let without = serde_json::from_value::<T>(Value::Object(others));
        without.map_or_else(|without| without.to_string() != error, |_| true)
    };
    let wrong = keys.keys().find(is_wrong).map_or("a key", String::as_str);
    format!(
        "{wrong} has a value of the wrong type (text that looks like a number or a boolean needs quotes)"
    )
}

fn missing(kind: Kind, name: &str) -> Error {
    Error::Missing {
        kind: kind.name,
        name: name.to_owned(),
    }
}

fn invalid(kind: Kind, name: &str, reason: String) -> Error {
    Error::Entry {
        kind: kind.name,
        name: name.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
