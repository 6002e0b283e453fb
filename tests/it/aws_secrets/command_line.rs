//! What the command line reads, and what it says when it may not.

use super::*;

#[test]
fn the_command_line_reads_a_secret_by_name_or_arn() {
    let aws = Moto::start();
    let shop = Shop::new("aws_cli");
    let url = aws.url.clone();
    let whole = document(&shop.database, &shop.database.password);
    let arn = aws.create_secret("cli/secret", &whole);
    let ended = shop.up_as(&url, "cli/secret", &KEYS);
    assert_eq!(ended.0, Some(0), "{ended:?}");
    assert_eq!(shop.database.applied(), "001");
    let ended = shop.up_as(&url, &arn, &KEYS);
    assert_eq!(ended.0, Some(0), "{ended:?}");

    shop.up_as(&url, "cli/none", &KEYS).refuses(
        1,
        &["secret cli/none of AWS Secrets Manager in us-east-1 does not exist"],
    );
    aws.create_secret("cli/malformed", &json!({"username": "canary"}));
    shop.up_as(&url, "cli/malformed", &KEYS).refuses(
        2,
        &["secret cli/malformed of AWS Secrets Manager in us-east-1 cannot be used: its key \"password\" is missing"],
    );
    aws.create_binary_secret("cli/binary");
    shop.up_as(&url, "cli/binary", &KEYS)
        .refuses(1, &["holds binary data and no text"]);

    let elsewhere = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a";
    shop.up_as(&url, elsewhere, &KEYS).refuses(
        2,
        &["is not the region that the ARN in --aws-secret-id names. Nothing was connected to."],
    );

    let mut nowhere = shop.up(&url, "cli/secret");
    let output = nowhere.envs(KEYS).env_remove("AWS_REGION").output();
    Ended::of(&output.expect("the program starts")).refuses(2, &["Missing: --aws-region"]);
    let with = |name: &'static str, value: &str| {
        let before = aws.log();
        let ended = shop.up_as(&url, "cli/secret", &[KEYS[0], KEYS[1], (name, value)]);
        (ended, aws.log() == before)
    };
    let (ended, _) = with("POSTGRES_CREDENTIALS", &whole.to_string());
    ended.refuses(2, &["give one of them"]);
    // A variable that was left over changes nothing in silence.
    let (ended, is_unasked) = with("POSTGRES_PASSWORD", "canary");
    ended.refuses(
        2,
        &["--aws-secret-id reads the password from the secret: leave out --password-file and POSTGRES_PASSWORD."],
    );
    assert!(is_unasked);
    let (ended, _) = with("POSTGRES_HOST", "left-over.example");
    ended.refuses(
        2,
        &["POSTGRES_HOST says left-over.example, and the document of credentials names another host. Nothing was"],
    );
    let mut by_option = shop.up(&url, "cli/secret");
    by_option.args(["--host", &shop.database.server.host]);
    let output = by_option
        .envs(KEYS)
        .env("POSTGRES_HOST", "left-over.example")
        .output();
    let ended = Ended::of(&output.expect("the program starts"));
    assert_eq!(ended.0, Some(0), "{ended:?}");
}

#[test]
fn an_empty_region_is_none() {
    let aws = Moto::start();
    let shop = Shop::new("aws_region");
    let whole = document(&shop.database, &shop.database.password);
    aws.create_secret("region", &whole);
    let token = shop.write("token", "canary-token");
    let identity = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/schemaward"),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            token.to_str().expect("UTF-8"),
        ),
        ("AWS_REGION", ""),
        ("AWS_DEFAULT_REGION", REGION),
    ];
    let ended = shop.up_as(&aws.url, "region", &identity);
    assert_eq!(ended.0, Some(0), "{ended:?}");
}

#[test]
fn what_aws_does_not_allow_and_what_does_not_answer_are_told_apart() {
    let shop = Shop::new("aws_denied");
    let whole = document(&shop.database, &shop.database.password);
    // Three requests are for the test itself; from the fourth on rights count.
    let strict = Moto::start_strict(3);
    strict.create_secret("denied", &whole);
    let (key, secret) = strict.create_user("nobody");
    let keys = [
        ("AWS_ACCESS_KEY_ID", &*key),
        ("AWS_SECRET_ACCESS_KEY", &*secret),
    ];
    shop.up_as(&strict.url, "denied", &keys).refuses(
        1,
        &[
            "secret denied of AWS Secrets Manager in us-east-1 may not be read (HTTP 403). Nothing was connected to.",
            "Allow the role secretsmanager:GetSecretValue on it",
        ],
    );
    // That server says why in another form than AWS, which says it so.
    let denial = r#"{"__type": "AccessDeniedException", "Message": "User: arn:aws:sts::1:assumed-role/r is not authorized."}"#;
    let (denying, _) = answering("400 Bad Request", denial);
    shop.up_as(&denying, "denied", &KEYS).refuses(
        1,
        &["may not be read (AccessDeniedException: User: arn:aws:sts::1:assumed-role/r is not authorized). Nothing"],
    );
    let (broken, asked) = answering("503 Service Unavailable", "");
    shop.up_as(&broken, "denied", &KEYS)
        .refuses(3, &["could not be read now (HTTP 503)"]);
    assert_eq!(asked.try_iter().count(), 3, "it is asked again a few times");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let ended = shop.up_as(&nobody, "denied", &KEYS);
    ended.refuses(
        3,
        &[
            "could not be read: ",
            "Connection refused",
            "See whether the way to the service is open",
        ],
    );
    let token = shop.write("token", "canary-token");
    let web_identity = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/schemaward"),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            token.to_str().expect("UTF-8"),
        ),
    ];
    shop.up_as(&nobody, "denied", &web_identity).refuses(
        3,
        &[
            "The service that gives the AWS identity was not reached: ",
            "Connection refused",
        ],
    );
    let with_fips = [&web_identity[..], &[("AWS_USE_FIPS_ENDPOINT", "true")]].concat();
    shop.up_as(&nobody, "denied", &with_fips)
        .refuses(3, &["FIPS and custom endpoint are not supported"]);
}
