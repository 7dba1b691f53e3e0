//! The files that a configuration names.

use super::{CERTIFICATE, Given, check_problems};

#[test]
fn a_file_of_certificates_may_hold_any_number() {
    let given = Given::new()
        .file("one.crt", CERTIFICATE)
        .file(
            "three.crt",
            format!("# a remark\n{}", CERTIFICATE.repeat(3)),
        )
        .variable("NAME", "three");
    let config = given.config("tls: { caCertificatePaths: [DIR/one.crt, 'DIR/${NAME}.crt'] }");
    let files: Vec<_> = config
        .ca_certificates
        .iter()
        .map(|file| (file.path.clone(), file.pem.len()))
        .collect();
    assert_eq!(files[0], (given.path("one.crt"), CERTIFICATE.len()));
    assert_eq!(files[1].0, given.path("three.crt"));
}

#[test]
fn every_invalid_file_is_reported() {
    let given = Given::new()
        .file("empty.crt", "")
        .file(
            "key.crt",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        )
        .file("cut.crt", &CERTIFICATE[..CERTIFICATE.len() / 2])
        .file(
            "zero.crt",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
    check_problems(
        &given,
        &[
            (
                "{tls: {caCertificatePaths: [DIR/empty.crt, DIR/key.crt, DIR/cut.crt, DIR/zero.crt, DIR/none.crt, DIR, '', 5]}}",
                r#"
                tls.caCertificatePaths[0] (in DIR/config.yaml): the file DIR/empty.crt contains no certificate; allowed: PEM certificates
                tls.caCertificatePaths[1] (in DIR/config.yaml): the file DIR/key.crt contains no certificate; allowed: PEM certificates
                tls.caCertificatePaths[2] (in DIR/config.yaml): the file DIR/cut.crt is not valid PEM; allowed: PEM certificates
                tls.caCertificatePaths[3] (in DIR/config.yaml): the file DIR/zero.crt contains an invalid certificate; allowed: PEM certificates
                tls.caCertificatePaths[4] (in DIR/config.yaml): the file DIR/none.crt cannot be read: No such file or directory (os error 2)
                tls.caCertificatePaths[5] (in DIR/config.yaml): the file DIR cannot be read: Is a directory (os error 21)
                tls.caCertificatePaths[6] (in DIR/config.yaml): found ""; allowed: a file path
                tls.caCertificatePaths[7] (in DIR/config.yaml): found 5; allowed: a file path
                "#,
            ),
            (
                "registries: [{hostnamePattern: x, caCertificatePaths: [DIR/none.crt]}]",
                "registries[0].caCertificatePaths[0] (in DIR/config.yaml): the file DIR/none.crt cannot be read: No such file or directory (os error 2)",
            ),
            (
                "tls: {caCertificatePaths: DIR/one.crt}",
                "tls.caCertificatePaths (in DIR/config.yaml): found a string; allowed: a list",
            ),
        ],
    );
}

#[test]
fn secret_files_are_checked_and_never_shown() {
    let given = Given::new()
        .file("empty", "\n")
        .file("binary", [0xff, 0xfe])
        .file(".dockerconfigjson", "\"not-to-be-shown\"");
    let table = [
        (
            "{type: ImagePullSecret, mountPath: DIR}",
            "mountPath",
            "the file DIR/.dockerconfigjson is not a JSON object; allowed: a Docker configuration with auths",
        ),
        (
            "{type: ImagePullSecret, mountPath: DIR/none}",
            "mountPath",
            "the file DIR/none/.dockerconfigjson cannot be read: No such file or directory (os error 2)",
        ),
        (
            "{tokenFile: DIR/none}",
            "tokenFile",
            "the file DIR/none cannot be read: No such file or directory (os error 2)",
        ),
        (
            "{tokenFile: DIR/empty}",
            "tokenFile",
            "the file DIR/empty is empty; allowed: a token",
        ),
        (
            "{tokenFile: DIR/binary}",
            "tokenFile",
            "the file DIR/binary is not UTF-8; allowed: a token",
        ),
    ];
    for (text, key, what) in table {
        let problems = given.problems(&format!(
            "registries: [{{hostnamePattern: x, secret: {text}}}]"
        ));
        assert_eq!(
            problems,
            [format!(
                "registries[0].secret.{key} (in DIR/config.yaml): {what}"
            )]
        );
    }
}
