//! What there is: namespaces, tags, workloads, replicas of the controller, and what their owners do with them.

use std::{path::Path, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::sleep};

use super::{
    Error, REPLICAS,
    cast::{self, Role},
    history::{Span, Subject, Wish},
    notes::{Notes, now},
    plan::{Content, Edit, Plan},
    registry::Tag,
    settle,
};
use crate::{
    Namespace, Testbed,
    controller::{self, Controller, SERVICE_ACCOUNT},
    image::Pusher,
    liar::Liar,
    process::Mark,
    workload::{ENABLED_LABEL, Kind},
};

/// After a request that failed, as when the API server is down.
const RETRY: Duration = Duration::from_millis(200);

/// So many attempts of a request fail before the run is given up: the API server is never down for so long.
const ATTEMPTS: usize = 600;

/// How many requests are under way at once while the workloads are made.
const AT_ONCE: usize = 8;

/// Everything of a run.
pub(super) struct World<'a> {
    pub(super) testbed: &'a Testbed,
    pub(super) liar: Liar,
    pub(super) replicas: Vec<Controller>,
    pub(super) notes: Notes,
    /// The beginning of the audit log, and the user of the controller in it.
    pub(super) mark: Mark,
    pub(super) user: String,
    pub(super) tags: Vec<Mutex<Tag>>,
    pub(super) pusher: Pusher,
    namespaces: Vec<Namespace>,
    roles: Vec<Role>,
}

impl<'a> World<'a> {
    /// Everything is up, and the controller finds it so.
    pub(super) async fn new(
        testbed: &'a Testbed,
        program: &Path,
        plan: &Plan,
    ) -> Result<Self, Error> {
        let mut namespaces = Vec::new();
        for number in 1..=cast::NAMESPACES {
            namespaces.push(testbed.namespace(&format!("chaos-{number}")).await?);
        }
        let home = permit(&namespaces).await?;
        testbed.nodes().keep_journal();
        let address = testbed.registry().host().parse();
        let address =
            address.map_err(|_| Error::NotUp("the registry has no address".to_owned()))?;
        let tags = 0..plan.scale.tags;
        let mut world = Self {
            testbed,
            liar: Liar::start(address).await?,
            replicas: Vec::new(),
            notes: Notes::default(),
            mark: testbed.control_plane().audit().mark()?,
            user: format!("system:serviceaccount:{home}:{SERVICE_ACCOUNT}"),
            tags: tags
                .map(|number| Mutex::new(Tag::new(&home, number)))
                .collect(),
            pusher: Pusher::new(testbed.registry().host())?,
            namespaces,
            roles: (0..plan.scale.workloads)
                .map(|number| Role::of(number, plan.scale.tags))
                .collect(),
        };
        world.deploy().await?;
        settle::up(&world).await?;
        world.start(program, plan).await?;
        Ok(world)
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
        let host = self.liar.host();
        let image = |tag: usize, pinned: bool| {
            let names = images
                .get(tag)
                .map(|[tag, digest]| if pinned { digest } else { tag });
            format!("{host}/{}", names.map_or("", String::as_str))
        };
        let namespace = self.namespace(role)?;
        let api = self.api(role)?;
        api.create(&PostParams::default(), &role.object(image)?)
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
            pods: match role.kind {
                Kind::DaemonSet => self.testbed.nodes().names().len(),
                Kind::Deployment | Kind::StatefulSet => 1,
            },
        })
    }

    async fn start(&mut self, program: &Path, plan: &Plan) -> Result<(), Error> {
        let names: Vec<&str> = self.namespaces.iter().map(Namespace::name).collect();
        let configuration = json!({
            "interval": format!("{}s", plan.scale.interval.as_secs()),
            "logLevel": "info,kube_autorollout=debug",
            "registries": [{ "hostnamePattern": self.liar.host(), "plainHttp": true }],
            "watch": { "namespaces": names },
            "leaderElection": { "enabled": true },
        });
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

    /// Does what an owner does, and notes it.
    pub(super) async fn edit(&self, workload: usize, edit: Edit) -> Result<(), Error> {
        let Some(role) = self.roles.get(workload) else {
            return Ok(());
        };
        let patch = match edit {
            Edit::Select(selected) => {
                let value = selected.then_some("true");
                json!({ "metadata": { "labels": { ENABLED_LABEL: value } } })
            }
            Edit::Hold(held) => {
                let value = held.then_some("true");
                json!({ "metadata": { "annotations": { "kube-autorollout/hold": value } } })
            }
            Edit::Pause(paused) => json!({ "spec": { "paused": paused } }),
            Edit::Scale(replicas) => json!({ "spec": { "replicas": replicas } }),
        };
        let begun = now();
        self.patch(role, &patch).await?;
        let span = Span::since(begun);
        if let Some(subject) = self.notes.content().subjects.get_mut(workload) {
            let wish = subject.last_wish();
            let changed = match edit {
                Edit::Select(selected) => Wish { selected, ..wish },
                Edit::Hold(held) => Wish { held, ..wish },
                Edit::Pause(paused) => Wish { paused, ..wish },
                Edit::Scale(replicas) => {
                    subject.pods = replicas;
                    return Ok(());
                }
            };
            subject.changes.push((span, changed));
        }
        Ok(())
    }

    async fn patch(&self, role: &Role, patch: &Value) -> Result<(), Error> {
        let api = self.api(role)?;
        let name = role.name();
        persistently(async || {
            let parameters = PatchParams::default();
            api.patch(&name, &parameters, &Patch::Merge(patch)).await
        })
        .await?;
        Ok(())
    }

    /// Deletes a pod of a workload, if there is one.
    pub(super) async fn delete_pod(&self, workload: usize) -> Result<(), Error> {
        let Some(role) = self.roles.get(workload) else {
            return Ok(());
        };
        let pods = self.namespace(role)?.api::<Pod>();
        let of_workload = ListParams::default().labels(&format!("app={}", role.name()));
        let list = persistently(async || pods.list(&of_workload).await).await?;
        if let Some(pod) = list.items.first() {
            let name = pod.name_any();
            persistently(async || {
                match pods.delete(&name, &DeleteParams::default()).await {
                    // Somebody else was faster
                    Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                    deleted => deleted.map(drop),
                }
            })
            .await?;
        }
        Ok(())
    }

    fn namespace(&self, role: &Role) -> Result<&Namespace, Error> {
        let namespace = self.namespaces.get(role.namespace);
        namespace.ok_or_else(|| Error::NotUp("a namespace is missing".to_owned()))
    }

    fn api(&self, role: &Role) -> Result<Api<DynamicObject>, Error> {
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

/// Asks again and again until the API server has done it.
async fn persistently<T>(
    request: impl AsyncFn() -> Result<T, kube::Error>,
) -> Result<T, kube::Error> {
    let mut attempts = 0;
    loop {
        match request().await {
            Err(_) if attempts < ATTEMPTS => attempts += 1,
            answer => return answer,
        }
        sleep(RETRY).await;
    }
}
