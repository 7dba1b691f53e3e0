//! Command lines and the commands they are parsed as.

use super::*;

fn parsed(arguments: &[&str]) -> Result<Command, String> {
    parse(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
}

#[test]
fn options_are_parsed() {
    let run = |config: Option<&str>| {
        Ok(Command::Run {
            config: config.map(PathBuf::from),
        })
    };
    assert_eq!(parsed(&[]), run(None));
    assert_eq!(parsed(&["--config", "a.yaml"]), run(Some("a.yaml")));
    assert_eq!(parsed(&["--config=a.yaml"]), run(Some("a.yaml")));
    assert_eq!(parsed(&["--help"]), Ok(Command::Help(HELP)));
    assert_eq!(parsed(&["-V"]), Ok(Command::Version));
}

#[test]
fn an_unknown_argument_is_named() {
    assert_eq!(
        parsed(&["--confg"]),
        Err("invalid option '--confg'".to_owned())
    );
    assert_eq!(
        parsed(&["now"]),
        Err("unexpected argument \"now\"".to_owned())
    );
    let missing = parsed(&["--config"]).expect_err("it needs a value");
    assert!(missing.contains("--config"), "{missing}");
}

#[test]
fn check_takes_images_and_options_in_any_order() {
    let check = |config: Option<&str>, docker_config: Option<&str>, output, images: &[&str]| {
        Ok(Command::Check {
            config: config.map(PathBuf::from),
            request: CheckRequest {
                images: images.iter().map(|&image| image.to_owned()).collect(),
                docker_config: docker_config.map(PathBuf::from),
                output,
            },
        })
    };
    assert_eq!(
        parsed(&["check", "a"]),
        check(None, None, CheckOutput::Text, &["a"])
    );
    let all = [
        "--config",
        "c",
        "check",
        "a",
        "--output=json",
        "--docker-config",
        "d",
        "b",
    ];
    assert_eq!(
        parsed(&all),
        check(Some("c"), Some("d"), CheckOutput::Json, &["a", "b"])
    );
    assert_eq!(parsed(&["check", "--help"]), Ok(Command::Help(CHECK_HELP)));
    assert_eq!(
        parsed(&["check"]),
        Err("check requires at least one image".to_owned())
    );
    let yaml = parsed(&["check", "--output", "yaml", "a"]).expect_err("not offered");
    assert!(yaml.contains("yaml") && yaml.contains("json"), "{yaml}");
}

#[test]
fn status_takes_a_namespace_a_format_and_a_url() {
    let status = |request| {
        Ok(Command::Status {
            config: None,
            request,
        })
    };
    assert_eq!(parsed(&["status"]), status(StatusRequest::default()));
    let wanted = StatusRequest {
        url: Some("http://a".to_owned()),
        filter: Filter {
            namespace: Some("shop".into()),
            ..Filter::default()
        },
        output: StatusOutput::Wide,
    };
    let long = [
        "status",
        "--namespace=shop",
        "--output",
        "wide",
        "--url",
        "http://a",
    ];
    assert_eq!(parsed(&long), status(wanted));
    for wrong in [
        &["status", "-o", "yaml"][..],
        &["status", "-n", "Shop"],
        &["status", "-n", ""],
    ] {
        let error = parsed(wrong).expect_err("not offered");
        assert!(error.contains("allowed"), "{error}");
    }
    assert!(parsed(&["status", "shop"]).is_err());
    assert_eq!(parsed(&["status", "-h"]), Ok(Command::Help(STATUS_HELP)));
}

#[test]
fn notify_takes_the_name_of_a_sink() {
    let notify = |config: Option<&str>| {
        Ok(Command::Notify {
            config: config.map(PathBuf::from),
            sink: "team".to_owned(),
        })
    };
    assert_eq!(parsed(&["notify", "--test", "team"]), notify(None));
    assert_eq!(
        parsed(&["--config", "c", "notify", "--test=team"]),
        notify(Some("c"))
    );
    assert_eq!(
        parsed(&["notify"]),
        Err("notify requires --test SINK".to_owned())
    );
}
