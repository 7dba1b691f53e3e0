//! Whether a program that was found is one that the testbed can use.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::Program;

/// A version as far as it matters: major and minor.
type Version = (u32, u32);

/// Checks the version of the file. `Err` is the reason why it cannot be used.
pub(super) fn check(program: Program, file: &Path) -> Result<(), String> {
    let output = Command::new(file)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("it cannot be run: {error}"))?;
    check_output(program, &String::from_utf8_lossy(&output.stdout))
}

fn check_output(program: Program, output: &str) -> Result<(), String> {
    let (mark, least) = program.needed();
    let found = output
        .lines()
        .find_map(|line| line.split_once(mark))
        .and_then(|(_, version)| parse(version))
        .ok_or_else(|| format!("its --version does not say \"{}\"", mark.trim()))?;
    if found < least {
        let (major, minor) = least;
        return Err(format!(
            "it is {}.{}, and at least {major}.{minor} is needed",
            found.0, found.1
        ));
    }
    Ok(())
}

impl Program {
    /// The words before the version in what `--version` prints, and the oldest version that will do.
    fn needed(self) -> (&'static str, Version) {
        match self {
            Self::Etcd => ("etcd Version: ", (3, 5)),
            Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler => {
                ("Kubernetes v", (1, 33)) // the oldest that the controller supports
            }
            Self::Registry => ("github.com/distribution/distribution/v3 v", (3, 0)),
            Self::Helm3
            | Self::Helm4
            | Self::Kubeconform
            | Self::Actionlint
            | Self::Kubectl
            | Self::Crane => ("v", (0, 0)), // never searched for
        }
    }
}

/// The first two numbers of `1.34.4+k3s1`.
fn parse(text: &str) -> Option<Version> {
    let mut numbers = text.trim().split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_of_the_right_name_and_age_are_used() {
        let table = [
            (Program::Etcd, "etcd Version: 3.7.3\nGit SHA: x\n", Ok(())),
            (Program::KubeScheduler, "Kubernetes v1.34.4\n", Ok(())),
            (Program::KubeApiserver, "Kubernetes v1.33.0-eks-1\n", Ok(())),
            (
                Program::KubeApiserver,
                "Kubernetes v1.29.1\n",
                Err("it is 1.29, and at least 1.33 is needed"),
            ),
            (
                Program::Registry,
                "/usr/bin/registry github.com/distribution/distribution/v3 v3.1.2+unknown\n",
                Ok(()),
            ),
            (
                Program::Registry,
                "registry github.com/docker/distribution v2.8.3\n",
                Err("its --version does not say \"github.com/distribution/distribution/v3 v\""),
            ),
        ];
        for (program, output, expected) in table {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(check_output(program, output), expected, "{output}");
        }
    }
}
