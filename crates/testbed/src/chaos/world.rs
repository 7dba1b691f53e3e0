//! The world of a run: namespaces, tags, workloads, replicas of the controller, and the actions of owners.

use std::{path::Path, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use kube::{Api, api::PostParams, core::DynamicObject};
use serde_json::json;
use tokio::{sync::Mutex, time::sleep};

use super::{
    error::Error,
    history::{Subject, Wish},
    notes::Notes,
    plan::{Content, Plan, RETRY_AFTER},
    registry::Tag,
    retry::persistently,
    workloads::{self, Condition, FAR, NEAR, REPLICAS, REWRITTEN, Role},
};
use crate::{
    Namespace, Testbed,
    admission::{ImagePolicy, PinPolicy},
    controller::{self, Controller, SERVICE_ACCOUNT},
    environment,
    fault_proxy::FaultProxy,
    image::Pusher,
    mirror::Mirror,
    node::{Capacity, Nodes, NodesOptions, Scheduling},
    process::Mark,
};

/// The lifetime of the far registry's tokens.
const TOKENS_LAST: Duration = Duration::from_secs(20);

/// How many requests are under way at once while the workloads are made.
const AT_ONCE: usize = 8;

/// The world of a run.
pub(super) struct World<'a> {
    pub(super) testbed: &'a Testbed,
    /// To the one registry that there is: the near and the far one.
    pub(super) ways: Vec<FaultProxy>,
    /// Through which the nodes of all workloads but the crowded ones pull from the near registry.
    pub(super) mirror: Mirror,
    pool: Nodes,
    pub(super) replicas: Vec<Controller>,
    pub(super) notes: Notes,
    /// The beginning of the audit log, and the user of the controller in it.
    pub(super) mark: Mark,
    pub(super) user: String,
    pub(super) tags: Vec<Mutex<Tag>>,
    pub(super) pusher: Pusher,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) roles: Vec<Role>,
}

impl<'a> World<'a> {
    /// With all workloads, which are coming up.
    pub(super) async fn new(testbed: &'a Testbed, plan: &Plan) -> Result<Self, Error> {
        let mut namespaces = Vec::new();
        for number in 1..=workloads::NAMESPACES {
            namespaces.push(testbed.namespace(&format!("chaos-{number}")).await?);
        }
        let home = permit(&namespaces).await?;
        let roles: Vec<Role> = (0..plan.scale.workloads)
            .map(|number| Role::of(number, plan.scale.tags))
            .collect();
        let ways = ways(testbed).await?;
        let mirror = mirror(testbed, &ways).await?;
        let pool = pool(testbed, &roles).await?;
        for nodes in [testbed.nodes(), &pool] {
            nodes.keep_journal();
        }
        let tags = 0..plan.scale.tags;
        let world = Self {
            testbed,
            ways,
            mirror,
            pool,
            replicas: Vec::new(),
            notes: Notes::default(),
            mark: testbed.control_plane().audit().mark()?,
            user: controller::user(&home),
            tags: tags
                .map(|number| Mutex::new(Tag::new(&home, number)))
                .collect(),
            pusher: Pusher::new(testbed.registry().host())?,
            namespaces,
            roles,
        };
        world.admit(plan.scale.pins).await?;
        world.deploy().await?;
        Ok(world)
    }

    /// Creates the admission policies of the whole run.
    async fn admit(&self, pins: bool) -> Result<(), Error> {
        let mut policies = Vec::new();
        for (name, from) in REWRITTEN.iter().enumerate() {
            let to = format!("{}/", self.host(name));
            policies.push(ImagePolicy::mirror(&format!("way-{name}"), from, &to));
        }
        let first = self.tags.first();
        if let Some(first) = first {
            let image = format!(
                "{}/{}",
                self.host(workloads::way_of(0)),
                first.lock().await.name()
            );
            policies.push(ImagePolicy::fill_in(
                "fill-in",
                workloads::FILLED_IN,
                &image,
            ));
        }
        let all = self.namespaces.iter().flat_map(|namespace| {
            let policies = policies.iter();
            policies.map(|policy| policy.put_in_force(namespace))
        });
        try_join_all(all).await?;
        if pins {
            let policy = PinPolicy::of_chart()?;
            let all = self.namespaces.iter().map(|one| policy.put_in_force(one));
            try_join_all(all).await?;
        }
        Ok(())
    }

    async fn deploy(&self) -> Result<(), Error> {
        let mut images = Vec::new();
        for tag in &self.tags {
            let mut tag = tag.lock().await;
            tag.push(Content::Next, &self.pusher, &self.notes).await?;
            images.push([tag.name(), tag.pinned()]);
        }
        let mut created = stream::iter(&self.roles)
            .map(|role| self.create(role, &images))
            .buffered(AT_ONCE);
        while let Some(subject) = created.try_next().await? {
            self.notes.content().subjects.push(subject);
        }
        Ok(())
    }

    async fn create(&self, role: &Role, images: &[[String; 2]]) -> Result<Subject, Error> {
        let image = |tag: usize, pinned: bool| {
            let names = images
                .get(tag)
                .map(|[tag, digest]| if pinned { digest } else { tag });
            names.cloned().unwrap_or_default()
        };
        let hosts: Vec<_> = (0..workloads::WAYS)
            .map(|way| format!("{}/", self.host(way)))
            .collect();
        let namespace = self.namespace(role)?;
        if let Some(pods) = role.never_ready(namespace.name()) {
            self.testbed.nodes().make_unready(pods);
        }
        let api = self.api(role)?;
        api.create(&PostParams::default(), &role.object(&hosts, image)?)
            .await?;
        let tags = role.tags.iter().map(|(container, tag)| {
            let name = images.get(*tag).map(|[tag, _]| tag.clone());
            ((*container).to_owned(), name.unwrap_or_default())
        });
        Ok(Subject {
            name: role.full_name(namespace.name()),
            tags: tags.collect(),
            rolls: role.rolls(),
            wish: Wish::ROLL_OUT,
            changes: Vec::new(),
            pods: role.pods(self.testbed.nodes().names().len()),
            crowded: role.condition == Some(Condition::Crowded),
        })
    }

    /// Starts the replicas of the controller, each with the same configuration.
    pub(super) async fn start(&mut self, program: &Path, plan: &Plan) -> Result<(), Error> {
        let names: Vec<&str> = self.namespaces.iter().map(Namespace::name).collect();
        let mut configuration = json!({
            "interval": format!("{}s", plan.scale.interval.as_secs()),
            "logLevel": "info,kube_autorollout=debug",
            "registries": self.ways.iter().map(|way| {
                json!({ "hostnamePattern": way.host(), "plainHttp": true })
            }).collect::<Vec<_>>(),
            "rollouts": { "retryAfter": RETRY_AFTER.map(|wait| format!("{}s", wait.as_secs())) },
            "watch": { "namespaces": names },
            "leaderElection": { "enabled": true },
        });
        if plan.scale.pins
            && let Some(keys) = configuration.as_object_mut()
        {
            keys.insert("pinning".to_owned(), json!({ "enabled": true }));
        }
        let configuration = configuration.to_string();
        let home = self.namespaces.first();
        let home = home.ok_or_else(|| Error::NotUp("there is no namespace".to_owned()))?;
        for _ in 0..REPLICAS {
            let started = self
                .testbed
                .start_controller(home, program, &configuration, "/livez");
            self.replicas.push(started.await?);
        }
        Ok(())
    }

    /// The host of a way to the registry.
    pub(super) fn host(&self, way: usize) -> &str {
        self.ways.get(way).map_or("", FaultProxy::host)
    }

    /// The shared nodes, and those of crowded workloads.
    pub(super) fn all_nodes(&self) -> [&Nodes; 2] {
        [self.testbed.nodes(), &self.pool]
    }

    /// Sends new pods of a namespace from the near registry to the far one.
    pub(super) async fn redirect(&self, namespace: usize, lasts: Duration) -> Result<(), Error> {
        let Some(namespace) = self.namespaces.get(namespace) else {
            return Ok(());
        };
        let [near, far] = [NEAR, FAR].map(|way| format!("{}/", self.host(way)));
        let policy = ImagePolicy::mirror("redirect", &near, &far);
        persistently(async || policy.put_in_force(namespace).await).await?;
        sleep(lasts).await;
        persistently(async || policy.withdraw(namespace).await).await?;
        Ok(())
    }

    pub(super) fn namespace(&self, role: &Role) -> Result<&Namespace, Error> {
        let namespace = self.namespaces.get(role.namespace);
        namespace.ok_or_else(|| Error::NotUp("a namespace is missing".to_owned()))
    }

    pub(super) fn api(&self, role: &Role) -> Result<Api<DynamicObject>, Error> {
        let namespace = self.namespace(role)?;
        let (client, resource) = (namespace.client(), role.kind.resource());
        Ok(Api::namespaced_with(client, namespace.name(), &resource))
    }
}

/// Gives the controller its rights in all namespaces, and the name of its own.
async fn permit(namespaces: &[Namespace]) -> Result<String, Error> {
    let mut home: Option<&str> = None;
    for namespace in namespaces {
        let (client, name, rights) = (
            namespace.client(),
            namespace.name(),
            controller::rights(&[]),
        );
        match home {
            None => controller::grant(client, name, rights).await?,
            Some(home) => {
                controller::permit_from(client, home, name, SERVICE_ACCOUNT, rights).await?;
            }
        }
        home = home.or(Some(name));
    }
    Ok(home.unwrap_or_default().to_owned())
}

/// Proxies in front of the registry, the far one with tokens.
async fn ways(testbed: &Testbed) -> Result<Vec<FaultProxy>, Error> {
    let mut ways = Vec::new();
    for _ in 0..workloads::WAYS {
        ways.push(FaultProxy::start(testbed.registry().host()).await?);
    }
    if let Some(far) = ways.get(FAR) {
        far.require_tokens(TOKENS_LAST).await?;
    }
    Ok(ways)
}

/// Lets the nodes pull from the near registry through a mirror.
async fn mirror(testbed: &Testbed, ways: &[FaultProxy]) -> Result<Mirror, Error> {
    let near = ways.get(NEAR).map_or("", FaultProxy::host);
    let mirror = Mirror::start(near).await?;
    let through = testbed.nodes().pull_through(near, Some(mirror.access()));
    through.map_err(environment::Error::from)?;
    Ok(mirror)
}

/// Nodes that have a CPU for two of three pods of the crowded workloads.
async fn pool(testbed: &Testbed, roles: &[Role]) -> Result<Nodes, Error> {
    let crowded = roles
        .iter()
        .filter(|role| role.condition == Some(Condition::Crowded));
    let options = NodesOptions {
        name: workloads::POOL.to_owned(),
        count: workloads::POOL_NODES,
        scheduling: Scheduling::Pool,
        capacity: Capacity {
            cpus: u32::try_from(crowded.count()).unwrap_or(u32::MAX),
            ..Capacity::AMPLE
        },
        ..NodesOptions::default()
    };
    Ok(testbed.start_nodes(options).await?)
}
