//! A matrix of values: each feature of the chart alone, and everything but it.

use std::{fs, path::Path};

use serde_json::Value;

use crate::helm::Helm;

/// What can be switched on or set besides others.
const FEATURES: [&str; 26] = [
    "replicaCount: 2",
    "config: { leaderElection: { enabled: true } }",
    "config: { watch: { namespaces: [default, kube-public] } }",
    "config: { interval: 45s, timeZone: Europe/Berlin, logFormat: json, platforms: [linux/amd64] }",
    "config: { rollouts: { maxConcurrent: 5, minInterval: 10m, settle: 30s }, featureFlags: { enableKubectlAnnotation: true } }",
    "config: { registries: [
      ~,
      { hostnamePattern: a.example.com, secret: { type: ImagePullSecret, name: pull, mountPath: /etc/secrets/a } },
      { hostnamePattern: b.example.com, secret: { type: Opaque, username: robot, name: b, key: token } },
      { hostnamePattern: c.example.com, secret: { name: c, key: KEY, token: 'x-${KEY}' } },
      { hostnamePattern: d.example.com, secret: { name: d, key: KEY, token: 'y-${KEY}' } },
      { hostnamePattern: e.example.com, secret: { token: literal } },
      { hostnamePattern: f.example.com, plainHttp: true, maxConcurrentRequests: 4, secret: { type: None } },
      { hostnamePattern: g.example.com, endpoint: 'http://mirror.example.com/g' }] }",
    "config: { tls: { caCertificatePaths: [/etc/more.crt], customCaCertificates: { enabled: true, secrets: [
      { name: ca, subPath: ca.crt, mountPath: /etc/ssl/certs/one.crt },
      { name: ca, subPath: other.crt, mountPath: /etc/ssl/certs/two.crt }] } } }",
    "{ image: { repository: registry.example.com/mirror, tag: v0.6.1, pullPolicy: Always }, imagePullSecrets: [{ name: pull }] }",
    "{ commonLabels: { team: platform }, podLabels: { tier: tools }, podAnnotations: { example.com/owner: platform } }",
    "rbac: { nodes: { enabled: true } }",
    "serviceAccount: { automount: true, annotations: { example.com/role: reader } }",
    "{ priorityClassName: system-cluster-critical, terminationGracePeriodSeconds: 60, enableServiceLinks: true }",
    "{ nodeSelector: { kubernetes.io/os: linux }, tolerations: [{ key: dedicated, operator: Exists, effect: NoSchedule }] }",
    "
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 1
        podAffinityTerm: { topologyKey: kubernetes.io/hostname, labelSelector: { matchLabels: { app: web } } }
topologySpreadConstraints:
  - { maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { app: web } } }",
    "
extraEnv: [{ name: HTTPS_PROXY, value: 'http://proxy.example.com:3128' }]
extraVolumes: [{ name: more, emptyDir: {} }]
extraVolumeMounts: [{ name: more, mountPath: /more }]",
    "podDisruptionBudget: { enabled: true, maxUnavailable: 50% }",
    "networkPolicy: { enabled: true, from: [{ namespaceSelector: { matchLabels: { name: monitoring } } }] }",
    "networkPolicy: { enabled: true, egress: { enabled: true, rules: [{ ports: [{ port: 5000 }] }] } }",
    "{ cloudIdentities: [aws, gcp, azure], cloudIdentity: { aws: { roleArn: 'arn:aws:iam::123456789012:role/reader' },
      gcp: { serviceAccount: reader@acme.iam.gserviceaccount.com }, azure: { clientId: client, tenantId: tenant } } }",
    "hints: { receivers: [
      { name: ci, type: generic, mayWait: true, oidc: { issuer: 'https://gitlab.com', claims: { namespace_path: team } } },
      { name: registry, type: distribution, secret: { name: hints, key: new }, previousSecret: { name: hints, key: old } }],
      from: [{ podSelector: {} }] }",
    "hints: { receivers: [{ name: hub, type: dockerhub, secret: { name: hints, key: hub }, images: ['docker.io/team/*'] }],
      ingress: { enabled: true, host: hints.example.org, tlsSecretName: tls }, httpRoute: { enabled: true, parentRefs: [{ name: public }] } }",
    "status: { ingress: { enabled: true, host: rollouts.example.org, className: nginx, tlsSecretName: tls, annotations: { a: b } } }",
    "service: { enabled: true, type: NodePort, port: 80, annotations: { example.com/scrape: 'true' } }",
    "{ service: { enabled: true }, serviceMonitor: { enabled: true, labels: { release: prometheus } }, podMonitor: { enabled: true } }",
    "{ prometheusRule: { enabled: true }, grafanaDashboard: { enabled: true } }",
    "pinning: { enabled: true, namespaceSelector: { matchLabels: { pins: 'yes' } } }",
];

/// What is not beside others, alone and on top of everything.
const CHOICES: [&str; 12] = [
    "config: { watch: { namespaces: ['*'] } }",
    "{ replicaCount: 2, strategy: { type: Recreate } }",
    "strategy: { type: RollingUpdate }",
    "strategy: { rollingUpdate: { maxSurge: 25%, maxUnavailable: 0 } }",
    "{ replicaCount: 3, config: { leaderElection: { enabled: false } } }",
    "rbac: { enabled: false }",
    "rbac: { secrets: { enabled: false }, nodes: { enabled: false } }",
    "serviceAccount: { create: false, name: default, automount: false }",
    "{ livenessProbe: null, readinessProbe: null, resources: null }",
    "{ nameOverride: short, fullnameOverride: other }",
    "pinning: { enabled: true, policy: kyverno }",
    "pinning: { enabled: true, policy: none }",
];

/// Values, and what distinguishes them from others.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) values: String,
}

/// Every case.
pub(crate) fn cases() -> Vec<Case> {
    let everything = || FEATURES.iter().copied();
    let mut cases = vec![case("defaults", []), case("everything", everything())];
    for (index, feature) in FEATURES.into_iter().enumerate() {
        cases.push(case(&format!("only-{index}"), [feature]));
        let others = everything().filter(|other| *other != feature);
        cases.push(case(&format!("all-but-{index}"), others));
    }
    for (index, choice) in CHOICES.into_iter().enumerate() {
        cases.push(case(&format!("choice-{index}"), [choice]));
        let on_top = everything().chain([choice]);
        cases.push(case(&format!("choice-{index}-on-top"), on_top));
    }
    let earlier = include_str!("values/earlier.yaml");
    cases.push(case("earlier", [earlier]));
    for entry in
        fs::read_dir(format!("{}/../deploy/values", env!("CARGO_MANIFEST_DIR"))).expect("examples")
    {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let values = fs::read_to_string(path).expect("text");
        cases.push(case(&name, [values.as_str()]));
    }
    cases
}

fn case<'v>(name: &str, values: impl IntoIterator<Item = &'v str>) -> Case {
    let mut merged = Value::Object(serde_json::Map::new());
    for text in values {
        merge(&mut merged, serde_saphyr::from_str(text).expect("YAML"));
    }
    Case {
        name: name.to_owned(),
        values: merged.to_string(),
    }
}

/// As Helm lays one file of values over another.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// What Helm makes of every case in this namespace, on a cluster with this API: a file each in `folder`.
pub(crate) fn render(helm: &Helm, namespace: &str, api: &str, folder: &Path) {
    for case in cases() {
        let options = ["--api-versions", api];
        let text = helm.text("web", namespace, &options, &case.values);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        fs::write(folder.join(format!("{}.yaml", case.name)), text).expect("a file");
    }
}
