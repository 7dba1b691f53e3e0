//! Indexes whose images tools mark as artifacts, and artifacts that are not images.

use std::process::Command as Tool;

use kube_autorollout_testbed::{
    image::Artifact,
    programs::{Program, Programs},
};
use tokio::task::spawn_blocking;

use super::*;

#[tokio::test]
async fn an_index_made_by_crane_shows_its_platforms() {
    let testbed = shared().await;
    let host = testbed.registry().host();
    let image = |architecture| Image::new("check-crane").platform("linux", architecture);
    let [amd, arm] = [image("amd64"), image("arm64")];
    for one in [&amd, &arm] {
        push(testbed.registry(), one, "check-crane").await;
    }
    let tagged = format!("{host}/check-crane:index");
    let by_digest = |image: &Image| format!("{host}/check-crane@{}", image.digest());
    let arguments = [
        "index",
        "append",
        "--tag",
        &tagged,
        "-m",
        &by_digest(&amd),
        "-m",
        &by_digest(&arm),
    ]
    .map(str::to_owned);
    let output = spawn_blocking(|| {
        let crane = Programs::tool(Program::Crane, &|_| ()).expect("Go builds it");
        Tool::new(crane).args(arguments).output().expect("it runs")
    });
    let output = output.await.expect("it ran");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let given = Given::trusting(testbed, &[]);
    let (code, list) = given.check_json(&[&tagged]).await;
    assert_eq!(code, Some(0), "{list:?}");
    assert_eq!(list[0]["platforms"], json!(["linux/amd64", "linux/arm64"]));
}

#[tokio::test]
async fn what_is_no_image_is_reported_by_its_name() {
    let testbed = shared().await;
    let image = push(
        testbed.registry(),
        &Artifact::helm_chart("1.0.0"),
        "check-chart",
    )
    .await;
    let given = Given::trusting(testbed, &[]);
    let (code, list) = given.check_json(&[&image]).await;
    assert_eq!(code, Some(1), "{list:?}");
    assert_eq!(errors(&list, "kind"), ["UnsupportedMediaType"]);
    let detail = errors(&list, "detail")[0];
    assert!(detail.contains("the tag names a Helm chart"), "{detail}");
}

#[tokio::test]
async fn a_chart_that_an_index_lists_is_none_of_its_images() {
    let testbed = shared().await;
    let chart = || Artifact::helm_chart("2.0.0");
    let alone = ImageIndex::default().artifact(chart());
    let beside = ImageIndex::of([Image::new("check-beside")]).artifact(chart());
    let images = [
        push(testbed.registry(), &alone, "check-alone").await,
        push(testbed.registry(), &beside, "check-beside").await,
    ];
    let images = images.each_ref().map(String::as_str);
    let given = Given::trusting(testbed, &[]);
    let (_, list) = given.check_json(&images).await;
    assert_eq!(errors(&list, "kind"), ["UnsupportedMediaType", ""]);
    assert_eq!(list[1]["platforms"], json!(["linux/amd64"]));
    let host = testbed.registry().host();
    let configuration = json!({
        "platforms": ["linux/s390x"],
        "registries": [{ "hostnamePattern": host, "plainHttp": true }],
    });
    let (_, list) = Given::new(&configuration.to_string())
        .check_json(&images)
        .await;
    let expected = ["UnsupportedMediaType", "NoMatchingPlatform"];
    assert_eq!(errors(&list, "kind"), expected);
}
