//! The story: one Deployment, one tag, two images.

use std::path::PathBuf;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PostParams;
use kube_autorollout_testbed::{
    Namespace, Testbed,
    clock::now,
    control_plane::NodeGrace,
    controller::{self, Controller},
    hints::Hooks,
    image::{Image, Pusher},
    program::{Failure, interrupted},
    programs::{Programs, Progress},
    workload::{self, TimedOut, eventually, rolled_out},
};
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{
    kept,
    show::{self, DEPLOYMENT, SOON},
    terminal::{self, Note, Notes, Terminal},
};

/// How often the controller checks the registry by itself: pushes are announced.
const INTERVAL: &str = "1h";

const REPOSITORY: &str = "shop/web";
const TAG: &str = "stable";
const REPLICAS: i32 = 3;

/// Everything that was set up; dropped in this order, which stops it.
struct Stage {
    controller: Controller,
    namespace: Namespace,
    pusher: Pusher,
    _hooks: Hooks, // the file with the secret
    testbed: Testbed,
}

/// Shows the story from the first build to the last metric; with `keep`, waits at its end for an interrupt.
pub(super) async fn show(terminal: &mut Terminal, keep: bool) -> Result<(), Failure> {
    let stage = set_up(terminal).await?;
    let outcome = roll_out(terminal, &stage).await;
    if outcome.is_err() {
        terminal::detail(format_args!(
            "the controller's log ends with:\n{}",
            stage.controller.server().tail()
        ));
    }
    outcome?;
    if keep {
        let Stage {
            controller,
            namespace,
            testbed,
            ..
        } = &stage;
        let image = image(testbed);
        let text = kept::instructions(testbed, controller, namespace.name(), &image);
        terminal::line(&text);
        interrupted().await?;
    }
    let end = "everything is stopped";
    let seconds = terminal.elapsed().as_secs_f64();
    drop(stage);
    terminal::line(&format!("Done in {seconds:.0} s; {end}."));
    Ok(())
}

async fn set_up(terminal: &mut Terminal) -> Result<Stage, Failure> {
    let programs = terminal
        .step("Find or build etcd, Kubernetes and the registry", find)
        .await?;
    let title = "Build kube-autorollout (release)";
    let program = terminal.step(title, build).await?;
    let title = "Start the control plane, two simulated nodes and a registry";
    let testbed = terminal
        .step(title, async |_| {
            Testbed::start(programs, NodeGrace::default()).await
        })
        .await?;
    terminal::detail(format_args!(
        "API server  {}",
        testbed.control_plane().url()
    ));
    terminal::detail(format_args!("registry    {}", testbed.registry().host()));
    let hooks = Hooks::new(testbed.programs())?;
    testbed.registry().notify(&hooks.notifications()).await?;
    let pusher = Pusher::new(testbed.registry().host())?;
    let title = format!("Push the first image as {}", image(&testbed));
    push(terminal, &pusher, &title, "v1").await?;
    let title = format!("Deploy {REPLICAS} replicas with the label kube-autorollout/enabled=true");
    let namespace = terminal
        .step(&title, async |_| deploy(&testbed).await)
        .await?;
    show::running(&testbed, &namespace);
    let title = "Start kube-autorollout, to which the registry announces pushes";
    let controller = terminal
        .step(title, async |_| {
            start_controller(&testbed, &namespace, program, &hooks).await
        })
        .await?;
    terminal::detail(format_args!("metrics     {}/metrics", controller.url()));
    Ok(Stage {
        controller,
        namespace,
        pusher,
        _hooks: hooks,
        testbed,
    })
}

async fn roll_out(terminal: &mut Terminal, stage: &Stage) -> Result<(), Failure> {
    let Stage {
        controller,
        namespace,
        pusher,
        testbed,
        ..
    } = stage;
    terminal
        .step("Wait for its first check: nothing to do", async |_| {
            state_is(controller, "UpToDate").await
        })
        .await?;
    push(
        terminal,
        pusher,
        "Push the second image under the same tag",
        "v2",
    )
    .await?;
    let pushed = now();
    terminal
        .step("Wait until every pod runs it", async |_| {
            all_run(testbed, namespace, "v2").await
        })
        .await?;
    show::running(testbed, namespace);
    show::patch(testbed, namespace, pushed)?;
    let title = "Wait until kube-autorollout says so";
    terminal
        .step(title, async |_| {
            let completed = [("outcome", "completed")];
            metric_is_one(controller, "kube_autorollout_rollouts_total", &completed).await?;
            state_is(controller, "UpToDate").await
        })
        .await?;
    show::events(terminal, namespace).await?;
    show::requests(testbed, namespace)?;
    show::metrics(controller).await
}

async fn find(notes: Notes) -> Result<Programs, Failure> {
    let progress = move |progress: &Progress| {
        drop(notes.send(Note::Detail(progress.to_string()))); // received as long as the step runs
    };
    Ok(spawn_blocking(move || Programs::find(&progress)).await??)
}

async fn build(notes: Notes) -> Result<PathBuf, Failure> {
    let progress = move |line: &str| drop(notes.send(Note::Now(line.to_owned())));
    Ok(spawn_blocking(move || controller::build(&progress)).await??)
}

fn image(testbed: &Testbed) -> String {
    format!("{}/{REPOSITORY}:{TAG}", testbed.registry().host())
}

async fn push(
    terminal: &mut Terminal,
    pusher: &Pusher,
    title: &str,
    text: &str,
) -> Result<(), Failure> {
    let image = Image::new(text);
    let digest = terminal
        .step(title, async |_| pusher.push(&image, REPOSITORY, TAG).await)
        .await?;
    terminal::detail(format_args!("{TAG} is {digest}"));
    Ok(())
}

async fn deploy(testbed: &Testbed) -> Result<Namespace, Failure> {
    let namespace = testbed.namespace("shop").await?;
    let deployment = workload::Deployment::named(DEPLOYMENT)
        .replicas(REPLICAS)
        .container("app", &image(testbed))
        .labelled()
        .build();
    let deployments = namespace.api::<Deployment>();
    deployments
        .create(&PostParams::default(), &deployment)
        .await?;
    rolled_out(&deployments, DEPLOYMENT, SOON).await?;
    Ok(namespace)
}

async fn start_controller(
    testbed: &Testbed,
    namespace: &Namespace,
    program: PathBuf,
    hooks: &Hooks,
) -> Result<Controller, Failure> {
    controller::grant(
        namespace.client(),
        namespace.name(),
        controller::rights(&[]),
    )
    .await?;
    let configuration = json!({
        "interval": INTERVAL,
        "hints": hooks.configuration([]),
        "registries": [{"hostnamePattern": testbed.registry().host(), "plainHttp": true}],
    });
    let configuration = configuration.to_string();
    let started = testbed.start_controller(namespace, &program, &configuration, "/readyz");
    Ok(started.await?)
}

/// Waits until the Deployment's rollout is complete and each of its pods runs the image with this text.
async fn all_run(testbed: &Testbed, namespace: &Namespace, text: &str) -> Result<(), TimedOut> {
    let all = usize::try_from(REPLICAS).unwrap_or_default();
    eventually(SOON, "every pod on the new image", async || {
        let running = testbed.nodes().running(namespace.name());
        let new = running
            .iter()
            .filter(|container| container.marker == text)
            .count();
        if (new, running.len()) == (all, all) {
            Ok(())
        } else {
            Err(format!("{new} of {} containers run {text}", running.len()))
        }
    })
    .await?;
    rolled_out(&namespace.api(), DEPLOYMENT, SOON).await?;
    Ok(())
}

async fn state_is(controller: &Controller, state: &str) -> Result<(), TimedOut> {
    metric_is_one(
        controller,
        "kube_autorollout_workloads",
        &[("state", state)],
    )
    .await
}

async fn metric_is_one(
    controller: &Controller,
    name: &str,
    labels: &[(&str, &str)],
) -> Result<(), TimedOut> {
    let what = format!("{name}{labels:?} is 1");
    eventually(SOON, &what, async || {
        let metrics = controller.metrics().await;
        let metrics = metrics.map_err(|error| error.to_string())?;
        match metrics.count(name, labels) {
            1 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await
}
