//! The values and the commands of Helm that the pages show.

use serde_json::Value;

use crate::{
    configuration::Rendered,
    helm::{CHART, Helm, VERSIONS},
    pages::{blocks, page, pages},
};

#[test]
fn every_block_of_values_makes_a_configuration_that_is_read() {
    let mut read = 0;
    for name in pages() {
        for values in blocks(&page(&name), "```yaml values") {
            let keys = serde_saphyr::from_str::<Value>(&values).expect("YAML");
            assert!(keys.is_object(), "{name}: {values}");
            Rendered::of(&values).is_read();
            read += 1;
        }
    }
    assert!(read >= 4, "only {read} blocks were found");
}

#[test]
fn every_option_that_is_shown_with_helm_is_a_value_of_the_chart() {
    let helm = Helm::new(VERSIONS[0]);
    let mut tried = 0;
    for name in pages() {
        let text = page(&name);
        let commands = blocks(&text, "```console").join("\n");
        let commands = commands.lines().filter(|line| line.starts_with("helm "));
        let shown = text.split('`').filter(|code| code.starts_with("--set "));
        for line in commands.chain(shown) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let settings = words.windows(2).filter(|pair| pair[0] == "--set");
            for setting in settings.map(|pair| pair[1].trim_matches('\'')) {
                let rendered = helm.text("web", "team", &["--set", setting], "{}");
                assert!(rendered.is_ok(), "{name}: {line}: {rendered:?}");
                tried += 1;
            }
            let chart = words.iter().find(|word| word.starts_with("charts/"));
            let is_there = chart.is_none_or(|chart| CHART.ends_with(*chart));
            assert!(is_there, "{name}: {line}");
        }
    }
    assert!(tried >= 2, "only {tried} settings were found");
}
