//! The environment of a container, as the kubelet makes it
//! (<https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet_pods.go>).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, EnvVar, ObjectFieldSelector, Service};
use kube::{ResourceExt as _, api::ListParams};

use super::{
    place::{Error, Place},
    root::Program,
};

/// Variables by their names.
pub(super) type Variables = BTreeMap<String, String>;

/// All variables of a container: those of Services, then of `envFrom`, then of `env`; later ones win.
pub(super) async fn of(program: &Program, place: &Place) -> Result<Variables, Error> {
    let mut variables = Variables::from([
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("HOSTNAME".to_owned(), place.pod.name_any()),
    ]);
    let spec = place.pod.spec.as_ref();
    if spec.and_then(|spec| spec.enable_service_links) != Some(false) {
        let services = services(place).await?;
        variables.extend(services.iter().flat_map(links));
    }
    // The kubelet sets these with and without links
    let (host, port) = (
        program.api_server.ip(),
        i32::from(program.api_server.port()),
    );
    variables.extend(link(
        "kubernetes",
        &host.to_string(),
        [(Some("https"), port, "TCP")],
    ));
    for source in place.container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut found = Variables::new();
        if let Some(map) = &source.config_map_ref {
            found.extend(config_map(place, &map.name).await?);
        }
        if let Some(secret) = &source.secret_ref {
            found.extend(self::secret(place, &secret.name).await?);
        }
        variables.extend(
            found
                .into_iter()
                .map(|(name, value)| (format!("{prefix}{name}"), value)),
        );
    }
    for variable in place.container.env.iter().flatten() {
        if let Some(value) = value(place, variable, &variables).await? {
            variables.insert(variable.name.clone(), value);
        }
    }
    Ok(variables)
}

/// `$(NAME)` of a variable that is known becomes its value, `$$` a dollar.
pub(super) fn expand(text: &str, variables: &Variables) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let name = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(')'));
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((value, after)) =
            name.and_then(|(name, after)| Some((variables.get(name)?, after)))
        {
            expanded.push_str(value);
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded + rest
}

/// The value of one variable; `None` when its source is optional and absent.
async fn value(
    place: &Place,
    variable: &EnvVar,
    variables: &Variables,
) -> Result<Option<String>, Error> {
    let Some(source) = &variable.value_from else {
        let text = variable.value.as_deref().unwrap_or_default();
        return Ok(Some(expand(text, variables)));
    };
    let (found, what, optional) = if let Some(field) = &source.field_ref {
        (self::field(place, field), field.field_path.clone(), None)
    } else if let Some(key) = &source.secret_key_ref {
        let found = secret(place, &key.name)
            .await
            .map(|mut data| data.remove(&key.key));
        (
            found,
            format!("Secret {}/{}", key.name, key.key),
            key.optional,
        )
    } else if let Some(key) = &source.config_map_key_ref {
        let found = config_map(place, &key.name)
            .await
            .map(|mut data| data.remove(&key.key));
        (
            found,
            format!("ConfigMap {}/{}", key.name, key.key),
            key.optional,
        )
    } else {
        let text = format!(
            "the source of the variable {} is not known here",
            variable.name
        );
        return Err(Error::Unfit(text));
    };
    match (found, optional.unwrap_or(false)) {
        (Ok(Some(value)), _) => Ok(Some(value)),
        (_, true) => Ok(None),
        (Ok(None), false) => Err(Error::Unfit(format!("couldn't find {what}"))),
        (Err(error), false) => Err(error),
    }
}

fn field(place: &Place, field: &ObjectFieldSelector) -> Result<Option<String>, Error> {
    let spec = place.pod.spec.as_ref();
    let value = match field.field_path.as_str() {
        "metadata.name" => place.pod.metadata.name.clone(),
        "metadata.namespace" => Some(place.namespace().to_owned()),
        "metadata.uid" => place.pod.metadata.uid.clone(),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
        "status.podIP" => Some(place.pod_ip.clone()),
        "status.hostIP" => Some(place.host_ip.clone()),
        other => return Err(Error::Unfit(format!("the field {other} is not known here"))),
    };
    Ok(value)
}

/// The data of a Secret, as text.
async fn secret(place: &Place, name: &str) -> Result<Variables, Error> {
    let data = super::files::secret(place, name).await?.into_iter();
    let text =
        |(key, value): (String, Vec<u8>)| (key, String::from_utf8_lossy(&value).into_owned());
    Ok(data.map(text).collect())
}

async fn config_map(place: &Place, name: &str) -> Result<Variables, Error> {
    let map = place.api::<ConfigMap>().get(name).await;
    let map = map.map_err(Error::read("ConfigMap", name))?;
    Ok(map.data.unwrap_or_default())
}

async fn services(place: &Place) -> Result<Vec<Service>, Error> {
    let list = place.api::<Service>().list(&ListParams::default()).await;
    let list = list.map_err(Error::read("Services of", place.namespace()))?;
    Ok(list.items)
}

/// The variables of a Service that has an address.
fn links(service: &Service) -> Variables {
    let spec = service.spec.as_ref();
    let address = spec.and_then(|spec| spec.cluster_ip.as_deref());
    let Some(address) = address.filter(|address| !["", "None"].contains(address)) else {
        return Variables::new();
    };
    let ports = spec
        .and_then(|spec| spec.ports.as_ref())
        .into_iter()
        .flatten();
    let ports = ports.map(|port| {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        (port.name.as_deref(), port.port, protocol)
    });
    link(&service.name_any(), address, ports)
}

/// The rules of <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/envvars/envvars.go>.
fn link<'a>(
    service: &str,
    address: &str,
    ports: impl IntoIterator<Item = (Option<&'a str>, i32, &'a str)>,
) -> Variables {
    let upper = |name: &str| name.replace('-', "_").to_uppercase();
    let name = upper(service);
    let mut variables = Variables::from([(format!("{name}_SERVICE_HOST"), address.to_owned())]);
    for (index, (port_name, port, protocol)) in ports.into_iter().enumerate() {
        let url = format!("{}://{address}:{port}", protocol.to_lowercase());
        if index == 0 {
            variables.insert(format!("{name}_SERVICE_PORT"), port.to_string());
            variables.insert(format!("{name}_PORT"), url.clone());
        }
        if let Some(port_name) = port_name.filter(|name| !name.is_empty()) {
            let key = format!("{name}_SERVICE_PORT_{}", upper(port_name));
            variables.insert(key, port.to_string());
        }
        let prefix = format!("{name}_PORT_{port}_{}", protocol.to_uppercase());
        variables.insert(format!("{prefix}_PROTO"), protocol.to_lowercase());
        variables.insert(format!("{prefix}_PORT"), port.to_string());
        variables.insert(format!("{prefix}_ADDR"), address.to_owned());
        variables.insert(prefix, url);
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_linked_as_the_kubelet_does_it() {
        let found = link(
            "kube-autorollout",
            "10.0.0.7",
            [(Some("http"), 8080, "TCP")],
        );
        let expected = [
            ("KUBE_AUTOROLLOUT_PORT", "tcp://10.0.0.7:8080"),
            ("KUBE_AUTOROLLOUT_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
            ("KUBE_AUTOROLLOUT_PORT_8080_TCP_ADDR", "10.0.0.7"),
            ("KUBE_AUTOROLLOUT_PORT_8080_TCP_PORT", "8080"),
            ("KUBE_AUTOROLLOUT_PORT_8080_TCP_PROTO", "tcp"),
            ("KUBE_AUTOROLLOUT_SERVICE_HOST", "10.0.0.7"),
            ("KUBE_AUTOROLLOUT_SERVICE_PORT", "8080"),
            ("KUBE_AUTOROLLOUT_SERVICE_PORT_HTTP", "8080"),
        ];
        let found: Vec<_> = found
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_known_variables_are_expanded() {
        let variables = Variables::from([("A".to_owned(), "1".to_owned())]);
        let table = [
            ("$(A)/$(A)", "1/1"),
            ("$(B)", "$(B)"),
            ("$$(A)", "$(A)"),
            ("a$", "a$"),
            ("${A}", "${A}"),
        ];
        for (text, expected) in table {
            assert_eq!(expand(text, &variables), expected, "{text}");
        }
    }
}
