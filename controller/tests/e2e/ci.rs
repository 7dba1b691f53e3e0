//! What `deploy/ci` has for the jobs of others: linted, and run as their runners do.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use kube_autorollout_testbed::{
    installed,
    process::Port,
    programs::{Program, Programs},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
    task::JoinSet,
};

use crate::{
    harness::{Controller, World},
    pages::{page, root},
};

const ACTION: &str = "deploy/ci/github/action.yml";
const WORKFLOW: &str = "deploy/ci/github/example.yml";
const JOB: &str = "deploy/ci/gitlab.yml";

/// How others name the action.
const PUBLISHED: &str = concat!(
    "juv/kube-autorollout/deploy/ci/github@v",
    env!("CARGO_PKG_VERSION")
);

const SECRET: &str = "correct-horse-battery-staple-4242";

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&page(name)).expect("YAML")
}

/// The script of the action, for bash.
fn action() -> String {
    let steps = &yaml(ACTION)["runs"]["steps"];
    let script = steps[0]["run"].as_str();
    script.expect("a script").to_owned()
}

/// The script of the job, for any shell.
fn job() -> String {
    let script = &yaml(JOB)[".kube-autorollout-hint"]["script"];
    let lines = script.as_array().expect("lines").iter();
    let lines: Vec<_> = lines.map(|line| line.as_str().expect("text")).collect();
    lines.join("\n")
}

/// Runs actionlint in a repository with the action, and a workflow that uses it.
fn lint(workflow: &str) -> Output {
    let actionlint = Programs::tool(Program::Actionlint, &|_| ()).expect("Go builds it");
    let repository = tempfile::tempdir().expect("a folder");
    let at = |name: &str| repository.path().join(name);
    for folder in [".git", ".github/workflows", "action"] {
        fs::create_dir_all(at(folder)).expect("a folder");
    }
    fs::copy(root().join(ACTION), at("action/action.yml")).expect("copied");
    let workflow = workflow.replace(PUBLISHED, "./action");
    fs::write(at(".github/workflows/example.yml"), workflow).expect("a file");
    let output = std::process::Command::new(actionlint)
        .current_dir(repository.path())
        .output();
    output.expect("it runs")
}

#[test]
fn actionlint_finds_nothing_in_the_action_and_the_workflow_that_uses_it() {
    let workflow = page(WORKFLOW);
    assert!(workflow.contains(PUBLISHED), "it uses {PUBLISHED}");
    let output = lint(&workflow);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for (input, wrong) in [
        ("images:", "image-names:"),
        ("          url:", "          #"),
    ] {
        let wrong = lint(&workflow.replace(input, wrong));
        assert!(!wrong.status.success(), "without {input}");
    }
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts_for_ci() {
    let Some(shellcheck) = installed("shellcheck") else {
        return;
    };
    // HINT_IMAGES is a list of words
    for (shell, script, excluded) in [("bash", action(), ""), ("sh", job(), "SC2086")] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("script");
        fs::write(&file, script).expect("a file");
        let output = std::process::Command::new(&shellcheck)
            .args(["--shell", shell, "--exclude", excluded])
            .arg(&file)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn the_files_for_ci_name_the_image_and_the_files_of_this_version() {
    let image = concat!("ghcr.io/juv/kube-autorollout:v", env!("CARGO_PKG_VERSION"));
    assert_eq!(yaml(ACTION)["inputs"]["image"]["default"], image);
    let job = &yaml(JOB)[".kube-autorollout-hint"];
    assert_eq!(job["variables"]["KUBE_AUTOROLLOUT_IMAGE"], image);
    let audience = &job["id_tokens"]["KUBE_AUTOROLLOUT_TOKEN"]["aud"];
    assert_eq!(audience, "kube-autorollout");
    let here = format!("/juv/kube-autorollout/v{}/{JOB}", env!("CARGO_PKG_VERSION"));
    assert!(page(JOB).contains(&here), "{here}");
}

/// A controller that only a hint makes check, with one workload.
struct Hooked {
    world: World,
    _controller: Controller,
    port: Port,
    folder: TempDir,
}

impl Hooked {
    async fn new(name: &str) -> Self {
        let world = World::new(name).await;
        world.push(&world.version(1), "app").await;
        world.deploy("web", "app").await;
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        fs::write(&secret, SECRET).expect("a file");
        let port = world.testbed.port().expect("a port");
        let receivers =
            json!([{ "name": "ci", "type": "generic", "secretFile": secret, "mayWait": true }]);
        let number = port.number();
        let configuration =
            format!("interval: 24h\nhints: {{ port: {number}, receivers: {receivers} }}\n");
        let controller = world.controller_as_it_is(&configuration).await;
        controller.until_all("UpToDate", 1).await;
        Self {
            world,
            _controller: controller,
            port,
            folder,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks/ci", self.port.number())
    }

    /// Makes a program, first on `PATH`.
    fn program(&self, name: &str, script: &str) {
        let folder = self.folder.path().join("bin");
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(name);
        fs::write(&file, script).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    /// Runs a script as the shell of a job.
    async fn run(&self, shell: &[&str], script: &str, environment: &[(&str, &str)]) -> Output {
        let file = self.folder.path().join("script");
        fs::write(&file, script).expect("a file");
        let bin = self.folder.path().join("bin");
        let (program, arguments) = shell.split_first().expect("a shell");
        let output = Command::new(program)
            .args(arguments)
            .arg(file)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .env("HOME", self.folder.path())
            .envs(environment.iter().copied())
            .kill_on_drop(true)
            .output();
        output.await.expect("the shell runs")
    }

    /// The push of another version is announced by a script, which says that it was rolled out.
    async fn announces(&self, version: u32, output: impl AsyncFnOnce() -> Output) {
        let next = self.world.version(version);
        self.world.push(&next, "app").await;
        let output = output().await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        let line = format!("Deployment {}/web: rolled out", self.world.namespace.name());
        assert!(said.contains(&line), "{said}");
    }
}

/// In the place of docker, which is not here: runs the binary with those variables only that a container would get.
fn docker() -> String {
    let program = env!("CARGO_BIN_EXE_kube-autorollout");
    format!(
        r#"#!/bin/bash
set -eu
[[ $1 == run ]]
shift
variables=()
while [[ $1 == --* ]]; do
  case $1 in
    --env) if [[ -v $2 ]]; then variables+=("$2=${{!2}}"); fi; shift ;;
    --network) shift ;;
    --rm) ;;
    *) exit 125 ;;
  esac
  shift
done
[[ $1 == ghcr.io/juv/kube-autorollout:* ]]
shift
exec env -i "${{variables[@]}}" {program} "$@"
"#
    )
}

/// Issues tokens as GitHub Actions does, until the task ends: the secret of the receiver takes the place of one.
async fn issuer(tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let read = stream.read_buf(&mut request).await;
                if !read.is_ok_and(|read| read > 0) {
                    break;
                }
            }
            let request = String::from_utf8_lossy(&request).to_lowercase();
            let is_right = request.starts_with("get /token?v=2&audience=kube-autorollout ")
                && request.contains("authorization: bearer of-the-request\r\n");
            let value = if is_right { SECRET } else { "wrong" };
            let body = json!({ "value": value }).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    format!("http://{address}/token?v=2")
}

#[tokio::test]
async fn the_action_announces_with_the_token_of_the_job_or_a_secret_and_fails_as_the_hint_does() {
    let hooked = Hooked::new("action").await;
    hooked.program("docker", &docker());
    let mut tasks = JoinSet::new();
    let issuer = issuer(&mut tasks).await;
    let (url, image) = (hooked.url(), hooked.world.image("app"));
    let run = async |inputs: &[(&str, &str)]| {
        let declared = yaml(ACTION);
        let value = |input: &str| {
            let given = inputs.iter().find(|(name, _)| *name == input);
            let default = declared["inputs"][input]["default"].as_str();
            given.map(|(_, value)| *value).or(default).unwrap_or("")
        };
        let variables = declared["runs"]["steps"][0]["env"].as_object();
        let environment = variables.expect("variables").iter().map(|(name, input)| {
            let input = input.as_str().expect("an input");
            let input = input.trim_start_matches("${{ inputs.");
            (
                name.as_str(),
                value(input.trim_end_matches(" }}")).to_owned(),
            )
        });
        let environment: Vec<_> = environment.collect();
        let mut environment: Vec<_> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
        environment.push(("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer));
        environment.push(("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-request"));
        let shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail"];
        hooked.run(&shell, &action(), &environment).await
    };
    let images = format!("{image}\n  registry.example.org/nobody/runs:this\n");
    hooked
        .announces(2, async || {
            run(&[("url", &url), ("images", &image), ("wait", "60s")]).await
        })
        .await;
    hooked
        .announces(3, async || {
            let inputs = [("url", &*url), ("images", &image), ("wait", "60s")];
            run(&[&inputs[..], &[("token", SECRET)]].concat()).await
        })
        .await;
    let several = run(&[("url", &url), ("images", &images)]).await;
    assert!(several.status.success(), "{several:?}");
    let refused = run(&[("url", &url), ("images", &image), ("token", "wrong")]).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let nobody = "registry.example.org/nobody/runs:this";
    let nobody = run(&[("url", &url), ("images", nobody), ("wait", "60s")]).await;
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
}

#[tokio::test]
async fn the_job_of_gitlab_takes_the_program_out_of_its_image_and_announces() {
    let hooked = Hooked::new("gitlab").await;
    let crane = Programs::tool(Program::Crane, &|_| ()).expect("Go builds it");
    hooked.program(
        "crane",
        &format!("#!/bin/sh\nexec {} \"$@\"\n", crane.display()),
    );
    let program = Path::new(env!("CARGO_BIN_EXE_kube-autorollout"));
    let registry = hooked.world.testbed.registry().host();
    let own = format!("{registry}/{}/own:v1", hooked.world.namespace.name());
    let publish = format!(
        "tar -cf layer.tar -C {} kube-autorollout\ncrane append --new_layer layer.tar --new_tag {own}",
        program.parent().expect("a folder").display()
    );
    let published = hooked.run(&["sh", "-eu"], &publish, &[]).await;
    assert!(published.status.success(), "{published:?}");
    let (url, image) = (hooked.url(), hooked.world.image("app"));
    let environment = [
        ("KUBE_AUTOROLLOUT_URL", &*url),
        ("KUBE_AUTOROLLOUT_TOKEN", SECRET),
        ("KUBE_AUTOROLLOUT_IMAGE", &own),
        ("HINT_IMAGES", &image),
        ("HINT_WAIT", "60s"),
    ];
    hooked
        .announces(2, async || {
            hooked.run(&["sh", "-eu"], &job(), &environment).await
        })
        .await;
    let nobody = [&environment[..], &[("HINT_IMAGES", "nobody/runs:this")]].concat();
    let nobody = hooked.run(&["sh", "-eu"], &job(), &nobody).await;
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
}
