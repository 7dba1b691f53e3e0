//! Results for people.

use jiff::SignedDuration;
use kube_autorollout_registry::RateLimit;

use super::result::{CheckResult, Resolved};
use crate::registry::failure::Failure;

/// A paragraph for each image, with aligned lines.
pub(super) fn render(results: &[CheckResult]) -> String {
    let paragraphs: Vec<String> = results.iter().map(paragraph).collect();
    paragraphs.join("\n")
}

fn paragraph(checked: &CheckResult) -> String {
    let rows = match &checked.result {
        Ok(resolved) => success_rows(resolved),
        Err(failure) => failure_rows(failure),
    };
    let rows = rows
        .into_iter()
        .map(|(name, value)| format!("  {name:<14}  {}\n", printable(&value)));
    let mut text = format!("{}\n", printable(&checked.image));
    text.extend(rows);
    text
}

fn success_rows(resolved: &Resolved) -> Vec<(&'static str, String)> {
    let platforms = resolved.platforms.as_ref().map(|platforms| {
        let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        names.join(", ")
    });
    let rows = [
        ("digest", Some(resolved.digest.to_string())),
        ("media type", Some(resolved.media_type.clone())),
        ("platforms", platforms.filter(|names| !names.is_empty())),
        (
            "authentication",
            Some(resolved.authentication.as_str().to_owned()),
        ),
        ("identity", resolved.identity.as_deref().map(str::to_owned)),
        ("rate limit", resolved.rate_limit.as_ref().map(remaining)),
    ];
    let known = |(name, value): (_, Option<String>)| Some((name, value?));
    rows.into_iter().filter_map(known).collect()
}

fn failure_rows(failure: &Failure) -> Vec<(&'static str, String)> {
    vec![
        ("error", failure.reason.as_str().to_owned()),
        ("detail", failure.detail.clone()),
        ("advice", failure.advice.to_owned()),
    ]
}

fn remaining(rate_limit: &RateLimit) -> String {
    let of = rate_limit
        .limit
        .map_or_else(String::new, |limit| format!(" of {limit}"));
    let window = rate_limit.window.map(SignedDuration::try_from);
    let every = match window {
        Some(Ok(window)) => format!(" every {window:#}"),
        _ => String::new(),
    };
    format!("{}{of} pulls left{every}", rate_limit.remaining)
}

/// A text of a registry without control characters, which a terminal would interpret.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::{super::result::tests::results, *};

    #[test]
    fn each_image_has_a_paragraph_that_no_registry_can_colour() {
        let digest = "a".repeat(64);
        let expected = format!(
            "\
a.io/web:1
  digest          sha256:{digest}
  media type      application/vnd.oci.image.index.v1+json
  platforms       linux/amd64, linux/\u{fffd}[31m
  authentication  bearer
  identity        aws: arn:aws:iam::123456789012:role/reader
  rate limit      87 of 100 pulls left every 6h

a.io/web:2
  digest          sha256:{digest}
  media type      application/vnd.oci.image.manifest.v1+json
  authentication  anonymous

a.io/web:gone
  error           TagNotFound
  detail          a.io/web:gone: a.io: not there
  advice          fix the image reference of the container
"
        );
        assert_eq!(render(&results()), expected);
    }
}
