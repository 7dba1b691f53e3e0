//! The pinned Go modules, as files of this crate.

use std::path::PathBuf;

use super::Program;

/// A Go module that pins what one or more programs are built from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Module {
    folder: &'static str,
    /// The module whose version is the programs' version.
    main: &'static str,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
}

/// The module in this folder of the crate.
macro_rules! module {
    ($folder:literal, $main:literal) => {
        Module {
            folder: concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder),
            main: $main,
            go_mod: include_str!(concat!("../../", $folder, "/go.mod")),
            go_sum: include_str!(concat!("../../", $folder, "/go.sum")),
        }
    };
}

const ETCD: Module = module!("etcd", "go.etcd.io/etcd/server/v3");

const KUBERNETES: Module = module!("kubernetes", "k8s.io/kubernetes");

const DISTRIBUTION: Module = module!("distribution", "github.com/distribution/distribution/v3");

const HELM3: Module = module!("helm3", "helm.sh/helm/v3");

const HELM4: Module = module!("helm4", "helm.sh/helm/v4");

const KUBECONFORM: Module = module!("kubeconform", "github.com/yannh/kubeconform");

const ACTIONLINT: Module = module!("actionlint", "github.com/rhysd/actionlint");

/// Apart from the control plane's: another requirement there would rebuild its programs.
const KUBECTL: Module = module!("kubectl", "k8s.io/kubernetes");

const CRANE: Module = module!("crane", "github.com/google/go-containerregistry");

/// All modules.
#[cfg(test)]
pub(super) const ALL: [Module; 9] = [
    ETCD,
    KUBERNETES,
    DISTRIBUTION,
    HELM3,
    HELM4,
    KUBECONFORM,
    ACTIONLINT,
    KUBECTL,
    CRANE,
];

impl Program {
    pub(super) fn module(self) -> Module {
        match self {
            Self::Etcd => ETCD,
            Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler => KUBERNETES,
            Self::Registry => DISTRIBUTION,
            Self::Helm3 => HELM3,
            Self::Helm4 => HELM4,
            Self::Kubeconform => KUBECONFORM,
            Self::Actionlint => ACTIONLINT,
            Self::Kubectl => KUBECTL,
            Self::Crane => CRANE,
        }
    }
}

impl Module {
    pub(super) fn folder(self) -> PathBuf {
        self.folder.into()
    }

    /// The pinned version of the programs, `v1.34.4`.
    pub(super) fn version(self) -> &'static str {
        self.required(self.main).unwrap_or("unknown")
    }

    /// The second number of the version.
    fn minor(self) -> &'static str {
        self.version().split('.').nth(1).unwrap_or_default()
    }

    /// The oldest Go that builds the module, `1.26.0`.
    pub(super) fn go_version(self) -> &'static str {
        self.required("go").unwrap_or("unknown")
    }

    /// The linker flag that sets the program's version, without which Kubernetes does not work.
    pub(super) fn version_flag(self) -> String {
        let version = self.version();
        match self.main {
            "k8s.io/kubernetes" => {
                format!("-X k8s.io/component-base/version.gitVersion={version}")
            }
            "github.com/distribution/distribution/v3" => {
                format!("-X {}/version.version={version}", self.main)
            }
            "helm.sh/helm/v3" => format!(
                "-X {main}/internal/version.version={version} -X {main}/pkg/chartutil.k8sVersionMinor={minor} \
                 -X {main}/pkg/lint/rules.k8sVersionMinor={minor}",
                main = self.main,
                minor = KUBERNETES.minor(), // what `helm template` renders for, 20 by default
            ),
            "helm.sh/helm/v4" => format!("-X {}/internal/version.version={version}", self.main),
            _ => String::new(),
        }
    }

    /// The second word of the line in go.mod that begins with `name`.
    fn required(self, name: &str) -> Option<&'static str> {
        self.go_mod.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(name)).then(|| words.next()).flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_pins_its_version_and_names_its_go() {
        for module in ALL {
            assert!(module.version().starts_with('v'), "{module:?}");
            assert!(module.go_version().starts_with("1."), "{module:?}");
            assert!(module.folder().join("go.sum").exists(), "{module:?}");
        }
    }
}
