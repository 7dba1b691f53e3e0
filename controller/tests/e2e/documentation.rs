//! What the README and the documentation show: configurations are read by the binary, words are those of the code, links
//! lead somewhere.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::controller::rights;

use crate::pages::{all_blocks, blocks, page, pages, root};

/// What a block of code may be, and what reads, runs or renders it: a file and something in it.
const KINDS: [(&str, &str, &str); 14] = [
    (
        "yaml configuration",
        "controller/tests/e2e/documentation.rs",
        "fn every_configuration_is_accepted_by_the_binary()",
    ),
    (
        "sh environment",
        "controller/tests/e2e/documentation.rs",
        "fn every_variable_that_is_shown_is_a_key()",
    ),
    (
        "yaml rules",
        "controller/tests/e2e/documentation.rs",
        "fn the_rules_that_are_shown_are_those_that_it_is_tested_with()",
    ),
    (
        "mermaid",
        "controller/tests/e2e/documentation.rs",
        "fn every_diagram_begins_and_ends_what_it_should()",
    ),
    (
        "yaml prometheus",
        "controller/tests/e2e/monitoring/documents.rs",
        "fn prometheus_accepts_the_configuration_that_is_shown()",
    ),
    (
        "console",
        "controller/tests/e2e/commands.rs",
        "fn every_command_that_is_shown_is_there()",
    ),
    (
        "yaml values",
        "controller/tests/chart/documentation.rs",
        "fn every_block_of_values_makes_a_configuration_that_is_read()",
    ),
    (
        "json answer",
        "controller/tests/e2e/hints/waits.rs",
        "fn documented()",
    ),
    (
        "json message webhook",
        "crates/notifications/tests/it/documentation.rs",
        "fn the_messages_of_the_page_are_those_that_are_sent()",
    ),
    (
        "json message cloudevents",
        "crates/notifications/tests/it/documentation.rs",
        "fn the_messages_of_the_page_are_those_that_are_sent()",
    ),
    (
        "json message slack",
        "crates/notifications/tests/it/documentation.rs",
        "fn the_messages_of_the_page_are_those_that_are_sent()",
    ),
    (
        "json message teams",
        "crates/notifications/tests/it/documentation.rs",
        "fn the_messages_of_the_page_are_those_that_are_sent()",
    ),
    ("rust", "src/lib.rs", DOCUMENTED),
    ("rust,no_run", "src/lib.rs", DOCUMENTED),
];

/// Beside a page of a crate, it makes its blocks tests of the documentation.
const DOCUMENTED: &str = r#"#![doc = include_str!("../README.md")]"#;

#[test]
fn no_block_of_code_goes_unchecked() {
    for name in pages() {
        let text = page(&name);
        let fences = text
            .lines()
            .filter(|line| line.trim_start().starts_with("```"));
        let blocks = all_blocks(&text);
        assert_eq!(
            fences.count(),
            2 * blocks.len(),
            "{name}: a fence is not at its place"
        );
        for block in blocks {
            let known = KINDS.iter().find(|(kind, ..)| *kind == block.kind);
            let Some((_, file, checks)) = known else {
                panic!(
                    "{name}: say what ```{} is, and let a test see it:\n{}",
                    block.kind, block.text
                );
            };
            let folder = name.strip_suffix("README.md").unwrap_or_default();
            let file = match *file {
                "src/lib.rs" => format!("{folder}src/lib.rs"),
                file => file.to_owned(),
            };
            assert!(
                page(&file).contains(checks),
                "{name}: {file} has no {checks}"
            );
        }
    }
}

/// Puts files where a configuration says that they are, below `folder`, and gives the configuration that says so.
fn with_files(configuration: &str, folder: &Path) -> String {
    let secrets = folder.join("secrets").display().to_string();
    let words = configuration.split(|character: char| " []{},\n".contains(character));
    for path in words.filter_map(|word| word.strip_prefix("/etc/secrets/")) {
        let mut file = folder.join("secrets").join(path);
        let content = if path.starts_with("registries/") {
            file.push(".dockerconfigjson");
            r#"{"auths":{}}"#.to_owned()
        } else if path.starts_with("ca/") {
            page("controller/src/config/tests/ca.pem")
        } else if path.starts_with("notifications/") {
            "https://receiver.example.org/secret".to_owned()
        } else {
            "secret".to_owned()
        };
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, content).expect("a file");
    }
    configuration.replace("/etc/secrets", &secrets)
}

#[test]
fn every_configuration_is_accepted_by_the_binary() {
    let mut read = 0;
    let folder = tempfile::tempdir().expect("a folder");
    for name in pages() {
        let text = page(&name);
        for block in blocks(&text, "yaml configuration") {
            let file = folder.path().join("config.yaml");
            fs::write(&file, with_files(&block, folder.path())).expect("a file");
            let output = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
                .env_clear()
                .env("CONFIG_FILE", &file)
                .output()
                .expect("the program runs");
            let said = String::from_utf8_lossy(&output.stderr);
            // Without a cluster it fails after it has read its configuration
            assert_eq!(output.status.code(), Some(1), "{name}:\n{block}\n{said}");
            read += 1;
        }
    }
    assert!(read >= 16, "only {read} configurations were found");
}

#[test]
fn every_state_and_reason_has_its_place_in_troubleshooting() {
    let text = page("docs/troubleshooting.md");
    for state in State::ALL {
        let heading = format!("\n## {state}\n");
        assert!(text.contains(&heading), "{state} has no heading");
    }
    for reason in Reason::ALL {
        let row = format!("\n| `{reason}` | ");
        assert!(text.contains(&row), "{reason} has no row");
    }
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    for row in rows {
        assert_eq!(
            row.matches(" | ").count(),
            3,
            "cause, check and cure: {row}"
        );
        let word = row.split('`').nth(1).expect("a word");
        let known = Reason::ALL.iter().any(|reason| reason.as_str() == word);
        assert!(known, "{word} is no reason");
    }
}

#[test]
fn every_right_has_its_row() {
    let text = page("docs/security.md");
    for rule in rights(&[]) {
        for resource in rule.resources.iter().flatten() {
            let rows = text
                .lines()
                .filter(|line| line.contains(&format!("| `{resource}` |")));
            let rows: Vec<&str> = rows.collect();
            for verb in &rule.verbs {
                let found = rows.iter().any(|row| row.contains(&format!("`{verb}`")));
                assert!(found, "no row for {verb} {resource}");
            }
        }
    }
}

/// Every group, resource and verb of some rules.
fn each(rules: &[PolicyRule]) -> BTreeSet<[&str; 3]> {
    let mut each = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                each.extend(
                    rule.verbs
                        .iter()
                        .map(|verb| [group, resource, verb].map(|text| &**text)),
                );
            }
        }
    }
    each
}

#[test]
fn the_rules_that_are_shown_are_those_that_it_is_tested_with() {
    let mut read = 0;
    for name in pages() {
        for shown in blocks(&page(&name), "yaml rules") {
            let shown: ClusterRole = serde_saphyr::from_str(&shown).expect("rules");
            let shown = shown.rules.expect("rules");
            assert_eq!(each(&shown), each(&rights(&[])), "{name}");
            read += 1;
        }
    }
    assert!(read > 0, "no rules were found");
}

#[test]
fn every_variable_that_is_shown_is_a_key() {
    let mut read = 0;
    for name in pages() {
        for block in blocks(&page(&name), "sh environment") {
            let program = env!("CARGO_BIN_EXE_kube-autorollout");
            let output = Command::new("sh")
                .args(["-ac", &format!("{block}\nexec {program}")])
                .env_clear()
                .output()
                .expect("the shell runs");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            // Without a cluster it fails after it has read its configuration, and has warned of what it does not know
            assert_eq!(output.status.code(), Some(1), "{name}:\n{block}\n{said}");
            assert!(
                !said.contains("unknown environment variable"),
                "{name}: {said}"
            );
            read += 1;
        }
    }
    assert!(read > 0, "no variables were found");
}

/// Only GitHub draws them; what can be checked here is that each block that begins within one ends there.
#[test]
fn every_diagram_begins_and_ends_what_it_should() {
    for name in pages() {
        for diagram in blocks(&page(&name), "mermaid") {
            let mut lines = diagram.lines().map(str::trim);
            let kind = lines.next().and_then(|line| line.split(' ').next());
            assert!(
                matches!(kind, Some("flowchart" | "sequenceDiagram")),
                "{name}: {kind:?}"
            );
            let (begun, ended) = lines.fold((0, 0), |(begun, ended), line| {
                match line.split(' ').next() {
                    Some("subgraph" | "loop" | "alt" | "opt" | "par") => (begun + 1, ended),
                    Some("end") => (begun, ended + 1),
                    _ => (begun, ended),
                }
            });
            assert_eq!(begun, ended, "{name}:\n{diagram}");
        }
    }
}

/// The anchors of a page, as GitHub makes them of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.trim().to_lowercase())
    });
    let anchor = |title: String| {
        let kept = title
            .chars()
            .filter(|character| character.is_alphanumeric() || "-_ ".contains(*character));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_within_the_project_leads_somewhere() {
    let mut followed = 0;
    for name in pages() {
        let text = page(&name);
        let folder = root().join(&name);
        let folder = folder.parent().expect("a folder");
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if path.is_empty() {
                root().join(&name)
            } else {
                folder.join(path)
            };
            assert!(file.exists(), "{name} links to {link}");
            if !anchor.is_empty() {
                let target = fs::read_to_string(&file).expect("a page");
                assert!(anchors(&target).contains(anchor), "{name} links to {link}");
            }
            followed += 1;
        }
    }
    assert!(followed > 20, "only {followed} links were found");
}
