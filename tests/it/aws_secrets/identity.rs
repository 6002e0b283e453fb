//! Whose identity it is, and whom it trusts.

use super::*;

#[test]
fn the_role_of_the_instance_is_never_used() {
    let aws = Moto::start();
    let shop = Shop::new("aws_instance");
    let (metadata, seen) = answering("200 OK", "{}");
    let instance = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*metadata);
    let nobody = shop.up_as(&aws.url, "any", &[instance]);
    nobody.refuses(
        1,
        &[
            "There is no AWS identity to act with: neither the environment nor a profile, a web identity token or \
             container credentials give one, and the instance's own role is never used.",
        ],
    );
    let profile = "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = Ec2InstanceMetadata\n";
    let profile = shop.write("profile", profile);
    let by_profile = ("AWS_CONFIG_FILE", profile.to_str().expect("UTF-8"));
    shop.up_as(&aws.url, "any", &[instance, by_profile])
        .refuses(
            1,
            &["the profile names the instance metadata service, which is never asked"],
        );
    assert_eq!(seen.try_recv().ok(), None);
}

#[test]
fn an_identity_comes_from_a_profile_or_from_the_agent_of_the_container() {
    let aws = Moto::start();
    let shop = Shop::new("aws_identity");
    let whole = document(&shop.database, &shop.database.password);
    aws.create_secret("identity", &whole);
    let profile = "[default]\naws_access_key_id = AKIATESTS\naws_secret_access_key = key-canary\n";
    let profile = shop.write("profile", profile);
    let by_profile = [(
        "AWS_SHARED_CREDENTIALS_FILE",
        profile.to_str().expect("UTF-8"),
    )];
    let ended = shop.up_as(&aws.url, "identity", &by_profile);
    assert_eq!(ended.0, Some(0), "{ended:?}");

    let (agent, seen) = answering(
        "200 OK",
        r#"{"AccessKeyId": "ASIATESTS", "SecretAccessKey": "key-canary", "Token": "token-canary",
            "Expiration": "2099-01-01T00:00:00Z"}"#,
    );
    let token = shop.write("token", "pod-identity-token");
    let agent = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &*format!("{agent}/v1/credentials"),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token.to_str().expect("UTF-8"),
        ),
    ];
    let ended = shop.up_as(&aws.url, "identity", &agent);
    assert_eq!(ended.0, Some(0), "{ended:?}");
    let request = seen.try_recv().expect("the agent was asked");
    assert!(request.starts_with("GET /v1/credentials "), "{request}");
    assert!(request.contains("pod-identity-token"), "{request}");
}

#[test]
fn a_service_is_recognised_by_the_authorities_of_the_bundle() {
    let shop = Shop::new("aws_tls");
    // Any server of TLS will do: the test servers' own certificate and its authority.
    let server = Postgres::start(16, &[]);
    let data = server.data();
    let aws = Moto::start_tls(&data.join("server.crt"), &data.join("server.key"));
    let bundle = server.ca.to_str().expect("UTF-8");
    let with = |more: &[(&str, &str)]| shop.up_as(&aws.url, "none", &[&KEYS[..], more].concat());
    with(&[("AWS_CA_BUNDLE", bundle)]).refuses(
        1,
        &["secret none of AWS Secrets Manager in us-east-1 does not exist"],
    );
    with(&[]).refuses(3, &["invalid peer certificate: UnknownIssuer"]);
    with(&[("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")]).refuses(
        3,
        &["This machine or image has no certificate authorities, so that no service of AWS can be recognised"],
    );
    let broken = shop.write("broken.pem", "canary");
    with(&[("AWS_CA_BUNDLE", broken.to_str().expect("UTF-8"))]).refuses(
        1,
        &["broken.pem cannot be used: it holds no PEM certificates"],
    );
}
