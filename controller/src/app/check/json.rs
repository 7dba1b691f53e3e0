//! Results for programs.

use serde_json::{Value, json};

use super::result::CheckResult;

/// A list with an object for each image.
pub(super) fn render(results: &[CheckResult]) -> String {
    let list: Vec<Value> = results.iter().map(object).collect();
    format!("{:#}\n", Value::from(list))
}

fn object(checked: &CheckResult) -> Value {
    match &checked.result {
        Ok(resolved) => json!({
            "image": checked.image,
            "digest": resolved.digest.to_string(),
            "mediaType": resolved.media_type,
            "platforms": resolved.platforms.as_ref().map(|platforms| {
                platforms.iter().map(ToString::to_string).collect::<Vec<_>>()
            }),
            "authentication": resolved.authentication.as_str(),
            "identity": resolved.identity.as_deref(),
            "rateLimit": resolved.rate_limit.map(|rate_limit| json!({
                "limit": rate_limit.limit,
                "remaining": rate_limit.remaining,
                "windowSeconds": rate_limit.window.map(|window| window.as_secs()),
            })),
        }),
        Err(failure) => json!({
            "image": checked.image,
            "error": {
                "kind": failure.reason.as_str(),
                "detail": failure.detail,
                "advice": failure.advice,
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::result::tests::results, *};

    #[test]
    fn every_image_has_an_object_with_all_keys() {
        let rendered: Value = serde_json::from_str(&render(&results())).expect("JSON");
        let digest = format!("sha256:{}", "a".repeat(64));
        let expected = json!([
            {
                "image": "a.io/web:1",
                "digest": digest,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "platforms": ["linux/amd64", "linux/\u{1b}[31m"],
                "authentication": "bearer",
                "identity": "aws: arn:aws:iam::123456789012:role/reader",
                "rateLimit": { "limit": 100, "remaining": 87, "windowSeconds": 21600 },
            },
            {
                "image": "a.io/web:2",
                "digest": digest,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "platforms": null,
                "authentication": "anonymous",
                "identity": null,
                "rateLimit": null,
            },
            {
                "image": "a.io/web:gone",
                "error": {
                    "kind": "TagNotFound",
                    "detail": "a.io/web:gone: a.io: not there",
                    "advice": "fix the image reference of the container",
                },
            },
        ]);
        assert_eq!(rendered, expected);
    }
}
