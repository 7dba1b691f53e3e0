//! CI jobs and users: `{"image": "ghcr.io/team/web:main"}` or `{"images": […]}`.

use serde::Deserialize;

use crate::{collector::Collector, malformed::Malformed, request::Request};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    image: Option<String>,
    #[serde(default)]
    images: Vec<String>,
}

pub(super) fn read(request: &Request<'_>, collector: &mut Collector<'_>) -> Result<(), Malformed> {
    let body: Body = request.json()?;
    if body.image.is_none() && body.images.is_empty() {
        return Err(Malformed::Missing("image"));
    }
    let mut images = body.image.iter().chain(&body.images);
    images.try_for_each(|image| collector.image(image))
}
