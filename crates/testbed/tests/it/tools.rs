use std::process::Command;

use kube_autorollout_testbed::programs::{Program, Programs};

#[test]
fn tools_are_built_from_their_pinned_modules() {
    let table = [
        (Program::Helm3, ["version", "--short"], "v3.22.0"),
        (Program::Helm4, ["version", "--short"], "v4.3.1"),
        (Program::Kubeconform, ["-h", "-v"], "-strict"),
        (Program::Actionlint, ["-version", "-no-color"], "1.7"),
        (Program::Crane, ["version", "--verbose"], "0.22.1"),
    ];
    for (program, arguments, expected) in table {
        let file = Programs::tool(program, &|_| ()).expect("Go builds it");
        let output = Command::new(file)
            .args(arguments)
            .output()
            .expect("it runs");
        let output = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.contains(expected), "{program}: {output}");
    }
}
