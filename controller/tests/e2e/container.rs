//! What the container image holds, run as a container would be: as a numeric user, in a root that has nothing else and
//! is read-only. What goes into the root, who runs and what is run is read from the Dockerfile.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use kube_autorollout_testbed::{
    controller::{SERVICE_ACCOUNT, build_static},
    image::{Image, Pusher},
    installed,
    registry::{ALICE, Access, Registry},
    shared,
    workload::eventually,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, task::spawn_blocking};

use crate::harness::{SOON, World};

/// Mounts the folder `$1` read-only where no other process sees it, and gives the rest to `chroot`. As in every container
/// there are devices (<https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-devices>): a
/// static binary reads random numbers from there.
const ENTER: &str = r#"mount --bind --options ro "$1" "$1" && mount --rbind /dev "$1/dev" &&
    root=$1 && shift && user=$1 && shift && exec chroot --userspec="$user" "$root" "$@""#;

/// A container that was not made by a container engine.
struct Container {
    root: TempDir,
    user: String,
    entrypoint: Vec<String>,
}

impl Container {
    /// As the last stage of the Dockerfile says, with the files that a kubelet adds.
    async fn new() -> Option<Self> {
        installed("chroot")?;
        installed("unshare")?;
        let binary = spawn_blocking(|| build_static(&|_| {}))
            .await
            .expect("it ran");
        let binary = binary.expect("a static binary");
        let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile");
        let dockerfile = fs::read_to_string(dockerfile).expect("the Dockerfile");
        let (_, stage) = dockerfile.rsplit_once("FROM ").expect("a last stage");
        assert_eq!(stage.lines().next(), Some("scratch"));
        let root = tempfile::tempdir().expect("a folder");
        for copied in instructions(stage, "COPY") {
            let words: Vec<&str> = copied.split_whitespace().collect();
            let ["--from=build", "/kube-autorollout", to] = words.as_slice() else {
                panic!("what the image gets besides the binary has to get here, too: {copied}");
            };
            fs::copy(&binary, inside(root.path(), to)).expect("copied");
        }
        let user = instructions(stage, "USER")
            .next()
            .expect("a user")
            .to_owned();
        let entrypoint = instructions(stage, "ENTRYPOINT").next().expect("an entry");
        let container = Self {
            user,
            entrypoint: serde_json::from_str(entrypoint).expect("a list of words"),
            root,
        };
        fs::create_dir(container.root.path().join("dev")).expect("a folder");
        container.file("/etc/resolv.conf", b"nameserver 127.0.0.1\n");
        let hosts = b"127.0.0.1 localhost\n127.0.0.1 registry.test\n";
        container.file("/etc/hosts", hosts);
        Some(container)
    }

    fn file(&self, path: &str, content: &[u8]) {
        let file = inside(self.root.path(), path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, content).expect("a file");
        let all = "chmod -R a+rX .";
        let status = std::process::Command::new("sh")
            .args(["-c", all])
            .current_dir(self.root.path())
            .status();
        assert!(status.expect("it ran").success());
    }

    /// The entry point with these arguments. It ends with the value.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", ENTER, "enter"])
            .arg(self.root.path())
            .arg(&self.user)
            .args(&self.entrypoint)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin") // for what enters
            .env("CONFIG_FILE", "/etc/config.yaml")
            .kill_on_drop(true);
        command
    }
}

/// What follows an instruction of a Dockerfile, for each time it is there.
fn instructions<'d>(stage: &'d str, name: &'static str) -> impl Iterator<Item = &'d str> {
    let lines = stage.lines();
    lines.filter_map(move |line| line.strip_prefix(name)?.strip_prefix(' '))
}

fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[tokio::test]
async fn the_static_binary_finds_names_and_verifies_certificates_in_an_empty_root() {
    let testbed = shared().await;
    let Some(container) = Container::new().await else {
        return;
    };
    let passwords = Registry::start(testbed.programs(), Access::Htpasswd).await;
    let passwords = passwords.expect("a registry");
    let image = Image::new("container");
    let plain = Pusher::new(testbed.registry().host()).expect("a pusher");
    let secured = Pusher::new(passwords.access_as(ALICE)).expect("a pusher");
    for pusher in [&plain, &secured] {
        let pushed = pusher.push(&image, "container", "latest").await;
        pushed.expect("pushed");
    }
    let by_name = |name: &str, registry: &Registry| registry.host().replace("127.0.0.1", name);
    let (plain, secured) = (
        by_name("registry.test", testbed.registry()),
        by_name("localhost", &passwords),
    );
    let configuration = json!({ "timeZone": "Europe/Berlin", "registries": [
        { "hostnamePattern": plain, "plainHttp": true },
        { "hostnamePattern": secured, "caCertificatePaths": ["/etc/ca.crt"] },
    ]});
    container.file("/etc/ca.crt", passwords.ca_certificate());
    container.file("/etc/config.yaml", configuration.to_string().as_bytes());
    let login = passwords
        .docker_config(ALICE)
        .replace("127.0.0.1", "localhost");
    container.file("/etc/docker.json", login.as_bytes());
    let images = [plain, secured].map(|host| format!("{host}/container:latest"));
    let arguments = [
        "check",
        "--output",
        "json",
        "--docker-config",
        "/etc/docker.json",
    ];
    let output = container
        .command(&[&arguments[..], &[&images[0], &images[1]]].concat())
        .output()
        .await
        .expect("it ran");
    let error = String::from_utf8_lossy(&output.stderr);
    let list: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|problem| panic!("{problem}: {error}"));
    let digests: Vec<&Value> = list.iter().map(|object| &object["digest"]).collect();
    let digest = Value::from(image.digest().to_string());
    assert_eq!(digests, [&digest, &digest], "{list:?}");
    assert_eq!(list[1]["authentication"], "basic");
}

/// The budget, in bytes: the binary, and gzipped.
const LIMITS: [u64; 2] = [10_500_000, 4_600_000];

#[test]
fn the_static_binary_is_stripped_and_small() {
    let Some(gzip) = installed("gzip") else {
        return;
    };
    let binary = build_static(&|_| {}).expect("a static binary");
    let content = fs::read(&binary).expect("a file");
    let symbols = b".symtab";
    assert!(
        !content.windows(symbols.len()).any(|part| part == symbols),
        "it has symbols"
    );
    let packed = std::process::Command::new(gzip)
        .args(["-9", "--stdout"])
        .arg(&binary)
        .output()
        .expect("it ran");
    assert!(packed.status.success());
    let sizes = [content.len(), packed.stdout.len()];
    let sizes = sizes.map(|size| u64::try_from(size).expect("a size"));
    println!("{} bytes, gzipped {}", sizes[0], sizes[1]);
    assert!(sizes[0] <= LIMITS[0] && sizes[1] <= LIMITS[1], "{sizes:?}");
}

/// The kernel's word that a process runs as this user, and in a root that it cannot write to.
fn assert_confined(id: u32, user: &str) {
    let kernel = |file| fs::read_to_string(format!("/proc/{id}/{file}")).expect("a process");
    let uid = user.split(':').next().expect("a user");
    let status = kernel("status");
    assert!(
        status.contains(&format!("Uid:\t{uid}\t{uid}\t")),
        "{status}"
    );
    let mounts = kernel("mountinfo"); // fields: man 5 proc_pid_mountinfo
    let root = mounts
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"));
    let options = root.and_then(|line| line.split(' ').nth(5));
    assert!(
        options.is_some_and(|options| options.starts_with("ro")),
        "{mounts}"
    );
}

#[tokio::test]
async fn the_static_binary_rolls_out_from_an_empty_root() {
    let Some(container) = Container::new().await else {
        return;
    };
    let world = World::new("container").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let configuration = json!({
        "cronSchedule": "* * * * * *",
        "timeZone": "Europe/Berlin",
        "webserver": { "port": port.expect("a port").port() },
        "registries": [{ "hostnamePattern": world.testbed.registry().host(), "plainHttp": true }],
    });
    container.file("/etc/config.yaml", configuration.to_string().as_bytes());
    let kubeconfig = world.testbed.control_plane();
    let kubeconfig = kubeconfig.kubeconfig_for(world.namespace.name(), SERVICE_ACCOUNT);
    let kubeconfig = fs::read(kubeconfig.await.expect("a token")).expect("a kubeconfig");
    container.file("/etc/kubeconfig", &kubeconfig);
    let logs = tempfile::tempdir().expect("a folder");
    let log = logs.path().join("log");
    let mut controller = container
        .command(&[])
        .env("KUBECONFIG", "/etc/kubeconfig")
        .stdout(Stdio::from(File::create(&log).expect("a file")))
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it started");
    let says = async |words: &'static str| {
        let said = eventually(SOON, words, async || {
            let text = fs::read_to_string(&log).expect("a log");
            if text.contains(words) {
                Ok(())
            } else {
                Err(text)
            }
        });
        said.await.unwrap_or_else(|error| panic!("{error}"));
    };
    says("started").await;
    world.push(&world.version(2), "app").await;
    says("rollout completed").await;
    assert_confined(controller.id().expect("it runs"), &container.user);
    assert_eq!(
        controller.try_wait().expect("its status"),
        None,
        "it runs on"
    );
}
