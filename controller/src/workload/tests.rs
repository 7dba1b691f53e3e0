use kube_autorollout_core::annotations;
use serde_json::json;

use super::*;

#[test]
fn template_annotations_are_read_under_the_names_that_patches_write() {
    let keys = [
        annotations::DIGESTS,
        annotations::RESTARTED_AT,
        annotations::KUBECTL_RESTARTED_AT,
    ];
    for key in keys {
        let template = json!({ "metadata": { "annotations": { key: "value", "other": "a" } } });
        let template: Template = serde_json::from_value(template).expect("a template");
        assert_eq!(template.annotation(key), Some("value"), "{key}");
        let set = keys.iter().filter(|key| template.annotation(key).is_some());
        assert_eq!(set.count(), 1, "{key} and no other");
    }
}

#[test]
fn a_selector_is_formatted_for_list_requests() {
    let selector = json!({
        "matchLabels": { "app": "web", "tier": "front" },
        "matchExpressions": [{ "key": "zone", "operator": "In", "values": ["a", "b"] }],
    });
    let selector: PodSelector = serde_json::from_value(selector).expect("a selector");
    assert_eq!(selector.as_str(), Ok("app=web,tier=front,zone in (a,b)"));
}

#[test]
fn an_invalid_selector_is_an_error_of_its_workload() {
    let selector =
        json!({ "matchExpressions": [{ "key": "zone", "operator": "Near", "values": ["a"] }] });
    let selector: PodSelector = serde_json::from_value(selector).expect("a selector");
    selector.as_str().expect_err("there is no such operator");
}
