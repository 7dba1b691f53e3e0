//! The dashboard of Grafana.

use serde_json::Value;

use super::text;

pub(super) const DASHBOARD: &str = "charts/kube-autorollout/files/dashboard.json";

/// Each panel's title and one of its expressions, with what Grafana would put in for its variables.
pub(super) fn expressions() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let expressions = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().expect("targets");
        targets.iter().map(|target| {
            let expression = target["expr"].as_str().expect("an expression");
            let expression = expression.replace("$namespace", ".*");
            let expression = expression.replace("$__rate_interval", "1m");
            (panel["title"].to_string(), expression)
        })
    });
    expressions.collect()
}

#[test]
fn each_panel_has_a_place_a_title_a_meaning_and_the_chosen_data_source() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let place = |panel: &Value| {
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        (side("x"), side("y"), side("w"), side("h"))
    };
    for (number, panel) in panels.iter().enumerate() {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            panel["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{title}"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let (x, y, w, h) = place(panel);
        assert!(x + w <= 24, "{title}: Grafana has 24 columns");
        for other in &panels[..number] {
            let (other_x, other_y, other_w, other_h) = place(other);
            let apart = x + w <= other_x
                || other_x + other_w <= x
                || y + h <= other_y
                || other_y + other_h <= y;
            assert!(apart, "{title} is on top of {}", other["title"]);
            assert_ne!(panel["id"], other["id"], "{title}");
        }
    }
    let variables = dashboard["templating"]["list"]
        .as_array()
        .expect("variables");
    let names: Vec<_> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["datasource", "namespace"]);
}
