//! The help texts.

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Rolls out Kubernetes workloads when the image behind an unchanged tag has changed.

Usage: kube-autorollout [OPTIONS]
       kube-autorollout check [OPTIONS] IMAGE...
       kube-autorollout hint [OPTIONS] IMAGE...
       kube-autorollout status [OPTIONS]
       kube-autorollout notify [OPTIONS] --test SINK

Commands:
  check              Resolve images with the configuration of the controller; see 'check --help'
  hint               Announce pushed images to a controller; see 'hint --help'
  status             Show where all workloads stand; see 'status --help'
  notify             Send a sample notification to a sink of the configuration; see 'notify --help'

Options:
      --config FILE  Path of the configuration file [env: CONFIG_FILE]
  -h, --help         Print this help
  -V, --version      Print the version

Exit codes:
  0  terminated by a signal
  1  runtime error
  2  invalid arguments or configuration
";

/// The text of `check --help`.
pub(crate) const CHECK_HELP: &str = "\
Resolves images in their registries with the configuration of the controller, without a cluster.

Usage: kube-autorollout check [OPTIONS] IMAGE...

Options:
      --config FILE         Path of the configuration file [env: CONFIG_FILE]
      --docker-config FILE  Path of a .dockerconfigjson, as in a pull Secret; its credentials are tried first
      --output FORMAT       Output format: text or json [default: text]
  -h, --help                Print this help

Exit codes:
  0  all images were resolved
  1  at least one image was not resolved
  2  invalid arguments or configuration
";

/// The text of `hint --help`.
pub(crate) const HINT_HELP: &str = "\
Announces pushed images to a controller, which checks them at once, and can wait for their workloads.

Usage: kube-autorollout hint [OPTIONS] IMAGE...

Options:
      --url URL          URL of a receiver, such as https://hints.example.org/hooks/ci [env: KUBE_AUTOROLLOUT_URL]
      --wait DURATION    Wait until all workloads run the images: an integer and s or m, up to 15m
      --token-file FILE  Path of a secret or token [env: KUBE_AUTOROLLOUT_TOKEN; else the job's token of GitHub Actions]
  -h, --help             Print this help

Exit codes:
  0  all workloads run the images; without --wait: the hint was accepted
  1  at least one workload does not run its image, no workload runs one, or the controller does not respond
  2  invalid arguments, or the hint was not accepted
  3  --wait timed out
";

/// The text of `status --help`.
pub(crate) const STATUS_HELP: &str = "\
Shows where all workloads stand, those first that need a person.

Usage: kube-autorollout status [OPTIONS]

Options:
      --config FILE     Path of the configuration file, which has the port of the controller [env: CONFIG_FILE]
  -n, --namespace NAME  Show only the workloads of this namespace
  -o, --output FORMAT   Output format: text, wide or json [default: text]
      --url URL         URL of a controller, such as http://localhost:8080 [default: the one beside this process]
  -h, --help            Print this help

Exit codes:
  0  no workload needs a person
  1  at least one workload needs a person, or the controller does not respond
  2  invalid arguments or configuration
";

/// The text of `notify --help`.
pub(crate) const NOTIFY_HELP: &str = "\
Sends a sample notification to a sink of the configuration, once.

Usage: kube-autorollout notify [OPTIONS] --test SINK

Options:
      --config FILE  Path of the configuration file [env: CONFIG_FILE]
      --test SINK    Name of the sink
  -h, --help         Print this help

Exit codes:
  0  the sink accepted it
  1  the sink did not accept it, or does not respond
  2  invalid arguments or configuration
";
