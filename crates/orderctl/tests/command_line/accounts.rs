//! Whose account a command acts on. Sign-in and roles are stand-ins: files as the AWS CLI leaves them, and answers as AWS
//! documents them.

use serde_json::json;

use crate::aws::{Answer, Aws, Call, Done, Person, json as answer_json};

const ORDER: &str = include_str!("../../../../events/accepted.json");

/// An AWS that takes orders, and gives the credentials of SSO and of a role.
fn aws() -> Aws {
    Aws::new(answer)
}

fn answer(call: &Call) -> Option<Answer> {
    Some(match call.action.as_str() {
        "StartExecution" => answer_json(
            &json!({ "executionArn": "arn:execution", "startDate": 1_800_000_000.0 }),
        ),
        "AssumeRole" if call.key() == "MAY-ASSUME" => (
            200,
            "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/orders/x</Arn><AssumedRoleId>id</AssumedRoleId></AssumedRoleUser>\
             <Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                .into(),
        ),
        "AssumeRole" => (
            403,
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no trust</Message></Error></ErrorResponse>".into(),
        ),
        path if path.starts_with("/federation/credentials") => answer_json(&json!({
            "roleCredentials": {
                "accessKeyId": "SSO", "secretAccessKey": "s", "sessionToken": "t", "expiration": 4_070_908_800_000_i64,
            },
        })),
        // A refresh of the session of `aws login`.
        "/v1/token" => (
            400,
            json!({ "__type": "AccessDeniedException", "error": "TOKEN_EXPIRED", "message": "over" }).to_string(),
        ),
        _ => return None,
    })
}

/// Someone who has keys in the environment, as after `make up`, and these profiles.
fn person(aws: &Aws, profiles: &str) -> Person {
    Person::of(aws).file(".aws/config", profiles)
}

/// Fails unless the order was placed, each call signed with this key.
fn assert_placed_with(key: &str, aws: &Aws, person: &Person, arguments: &[&str]) {
    let arguments = [arguments, &["place", "-"]].concat();
    let done = person.run_with_input(&arguments, ORDER.as_bytes());
    done.assert(0, &[]);
    let signed = |call: &Call| {
        !["AssumeRole"].contains(&call.action.as_str()) && !call.action.starts_with('/')
    };
    let calls = aws.calls().into_iter().filter(signed);
    let keys: Vec<_> = calls
        .map(|call| (call.action.clone(), call.key().to_owned()))
        .collect();
    let expected = ["DescribeStacks", "StartExecution"].map(|action| (action.into(), key.into()));
    assert_eq!(keys, expected);
}

fn assert_not_signed_in(person: &Person, profile: &str, said: &[&str]) {
    let done = person.run_with_input(&["--profile", profile, "place", "-"], ORDER.as_bytes());
    done.assert(1, said);
    assert_without_internals(&done);
}

/// What the SDK says of itself helps nobody.
fn assert_without_internals(done: &Done) {
    for internal in [
        "provider",
        "dispatch",
        "Error {",
        "could not be built",
        "loading credentials",
        "Stderr",
        "identity",
    ] {
        assert!(!done.stderr.contains(internal), "{internal}: {done:?}");
    }
}

const KEYS: &str = "[profile production]\naws_access_key_id = PRODUCTION\naws_secret_access_key = s\nregion = eu-west-1\n";

#[test]
fn a_profile_that_is_named_is_used_instead_of_the_keys_of_the_environment() {
    let aws = aws();
    let person = person(&aws, KEYS);
    assert_placed_with("PRODUCTION", &aws, &person, &["--profile", "production"]);
    let person = person.without("AWS_REGION").without("AWS_DEFAULT_REGION");
    let arguments = ["--profile", "production", "place", "-"];
    let done = person.run_with_input(&arguments, ORDER.as_bytes());
    done.assert(0, &[]);
    let call = aws.calls_of("StartExecution").pop().expect("a call");
    let signed = &call.headers["authorization"];
    assert!(signed.contains("/eu-west-1/states/"), "{signed}");
}

#[test]
fn keys_of_the_environment_come_before_aws_profile_and_the_default_profile_as_in_the_aws_cli() {
    for name in ["production", "default"] {
        let aws = aws();
        let profiles = KEYS.replace("profile production", &format!("profile {name}"));
        let person = person(&aws, &profiles).set("AWS_PROFILE", name);
        assert_placed_with("ENVIRONMENT", &aws, &person, &[]);
    }
    let aws = aws();
    let person = person(&aws, KEYS)
        .set("AWS_PROFILE", "production")
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY");
    assert_placed_with("PRODUCTION", &aws, &person, &[]);
}

#[test]
fn aws_default_profile_comes_before_aws_profile_as_in_the_aws_cli() {
    let other = "[profile test]\naws_access_key_id = TEST\naws_secret_access_key = s\nregion = eu-north-1\n";
    for (variables, key, region) in [
        (
            &[("AWS_DEFAULT_PROFILE", "production")][..],
            "PRODUCTION",
            "eu-west-1",
        ),
        (
            &[
                ("AWS_DEFAULT_PROFILE", "production"),
                ("AWS_PROFILE", "test"),
            ],
            "PRODUCTION",
            "eu-west-1",
        ),
        (
            &[("AWS_DEFAULT_PROFILE", ""), ("AWS_PROFILE", "test")],
            "TEST",
            "eu-north-1",
        ),
    ] {
        let aws = aws();
        let mut person = person(&aws, &format!("{KEYS}{other}"))
            .without("AWS_ACCESS_KEY_ID")
            .without("AWS_SECRET_ACCESS_KEY")
            .without("AWS_REGION");
        for (name, value) in variables {
            person = person.set(name, value);
        }
        assert_placed_with(key, &aws, &person, &[]);
        let signed = &aws.calls_of("StartExecution")[0].headers["authorization"];
        assert!(signed.contains(&format!("/{region}/states/")), "{signed}");
    }
    // Keys of the environment come before both.
    let fresh = aws();
    let keys = person(&fresh, KEYS).set("AWS_DEFAULT_PROFILE", "production");
    assert_placed_with("ENVIRONMENT", &fresh, &keys, &[]);
    let aws = aws();
    let person = person(&aws, KEYS).set("AWS_DEFAULT_PROFILE", "prodution");
    let done = person.run_with_input(&["place", "-"], ORDER.as_bytes());
    done.assert(1, &["no AWS profile prodution"]);
}

#[test]
fn a_profile_that_does_not_exist_is_said_and_nothing_is_sent_with_other_keys() {
    let aws = aws();
    let named = person(&aws, KEYS);
    assert_not_signed_in(&named, "prodution", &["no AWS profile prodution"]);
    let by_variable = person(&aws, KEYS).set("AWS_PROFILE", "prodution");
    let done = by_variable.run_with_input(&["place", "-"], ORDER.as_bytes());
    done.assert(1, &["no AWS profile prodution"]);
    let without_files = Person::of(&aws);
    assert_not_signed_in(&without_files, "production", &["no AWS profile production"]);
    assert_eq!(aws.calls().len(), 0);
}

#[test]
fn a_profile_without_credentials_does_not_borrow_those_of_the_environment() {
    let aws = aws();
    let person = person(
        &aws,
        "[profile empty]\nregion = eu-west-1\n[profile half]\naws_access_key_id = HALF\n",
    );
    assert_not_signed_in(&person, "empty", &["no credentials", "AWS profile empty"]);
    assert_not_signed_in(
        &person,
        "half",
        &["AWS profile half", "aws_secret_access_key"],
    );
    assert_eq!(aws.calls().len(), 0);
}

#[test]
fn without_any_credentials_it_is_said_how_to_name_some() {
    let aws = aws();
    let person = Person::of(&aws)
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY");
    let done = person.run_with_input(&["place", "-"], ORDER.as_bytes());
    done.assert(1, &["no credentials", "--profile", "aws login"]);
    assert_without_internals(&done);
}

#[test]
fn a_profile_may_name_a_program_that_gives_credentials() {
    let aws = aws();
    let person = person(&aws, "[profile vault]\ncredential_process = ./vault\n[profile sealed]\ncredential_process = echo 'the vault is sealed' >&2; exit 3\n[profile silly]\ncredential_process = echo hello\n[profile gone]\ncredential_process = ./no-such-program\n")
        .file("vault", "#!/bin/sh\necho x >>runs\necho '{\"Version\": 1, \"AccessKeyId\": \"PROCESS\", \"SecretAccessKey\": \"s\"}'\n");
    let done = std::process::Command::new("chmod")
        .args(["+x", "vault"])
        .current_dir(person.home())
        .status();
    assert!(done.expect("chmod").success());
    assert_placed_with("PROCESS", &aws, &person, &["--profile", "vault"]);
    let runs = std::fs::read_to_string(person.home().join("runs"));
    assert_eq!(
        runs.expect("runs"),
        "x\n",
        "it runs once, not for each service"
    );
    let advice = "run it by itself";
    assert_not_signed_in(
        &person,
        "sealed",
        &["credential_process", "(the vault is sealed)", advice],
    );
    assert_not_signed_in(&person, "silly", &["credential_process", advice]);
    assert_not_signed_in(
        &person,
        "gone",
        &["credential_process", "no-such-program", advice],
    );
}

const SSO: &str = "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Orders\n\
    [sso-session corp]\nsso_region = eu-central-1\nsso_start_url = https://corp.example/start\n\
    [profile by-sso]\nrole_arn = arn:aws:iam::123456789012:role/orders\nsource_profile = sso\n";
/// The name of the file is the SHA-1 of the session's name, `corp`.
const SSO_TOKEN: &str = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

#[test]
fn a_profile_of_sso_uses_its_session_and_says_how_to_sign_in_without_one() {
    let aws = aws();
    let token = |expires: &str| {
        json!({ "accessToken": "t", "expiresAt": expires, "region": "eu-central-1", "startUrl": "https://corp.example/start" }).to_string()
    };
    let signed_in = person(&aws, SSO).file(SSO_TOKEN, &token("2099-01-01T00:00:00Z"));
    assert_placed_with("SSO", &aws, &signed_in, &["--profile", "sso"]);
    let advice = "`aws sso login --profile sso`";
    let expired = person(&aws, SSO).file(SSO_TOKEN, &token("2026-01-01T00:00:00Z"));
    assert_not_signed_in(&expired, "sso", &[advice, "expired"]);
    let never = person(&aws, SSO);
    assert_not_signed_in(&never, "sso", &[advice]);
    assert_not_signed_in(&never, "by-sso", &["`aws sso login --profile by-sso`"]);
}

const LOGIN: &str = "[profile console]\nlogin_session = arn:aws:iam::123456789012:user/ada\n";
/// The name of the file is the SHA-256 of the session.
const LOGIN_TOKEN: &str =
    ".aws/login/cache/397b11bbda6668a5a8d17d42c91036373f4a376627089c204bef61ce0ae993c2.json";

#[test]
fn a_profile_of_aws_login_uses_its_session_and_says_how_to_sign_in_without_one() {
    let aws = aws();
    let token = |expires: &str| {
        json!({
        "accessToken": {
            "accessKeyId": "LOGIN", "secretAccessKey": "s", "sessionToken": "t", "accountId": "123456789012",
            "expiresAt": expires,
        },
        "tokenType": "aws_sigv4", "refreshToken": "r", "clientId": "arn:aws:signin:::devtools/same-device",
        // The key of an example of AWS.
        "dpopKey": "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIFDZHUzOG1Pzq+6F0mjMlOSp1syN9LRPBuHMoCFXTcXhoAoGCCqGSM49\nAwEHoUQDQgAE9qhj+KtcdHj1kVgwxWWWw++tqoh7H7UHs7oXh8jBbgF47rrYGC+t\ndjiIaHK3dBvvdE7MGj5HsepzLm3Kj91bqA==\n-----END EC PRIVATE KEY-----\n",
    }).to_string()
    };
    let signed_in = person(&aws, LOGIN).file(LOGIN_TOKEN, &token("2099-01-01T00:00:00Z"));
    assert_placed_with("LOGIN", &aws, &signed_in, &["--profile", "console"]);
    let advice = "`aws login --profile console`";
    let expired = person(&aws, LOGIN).file(LOGIN_TOKEN, &token("2026-01-01T00:00:00Z"));
    assert_not_signed_in(&expired, "console", &[advice, "expired"]);
    let never = person(&aws, LOGIN);
    assert_not_signed_in(&never, "console", &[advice]);
}

#[test]
fn a_profile_may_assume_a_role_and_a_refusal_is_said_as_aws_says_it() {
    let profiles = |key: &str| {
        format!(
            "[profile base]\naws_access_key_id = {key}\naws_secret_access_key = s\n\
         [profile role]\nrole_arn = arn:aws:iam::123456789012:role/orders\nsource_profile = base\n"
        )
    };
    let aws = aws();
    let may = person(&aws, &profiles("MAY-ASSUME"));
    assert_placed_with("ROLE", &aws, &may, &["--profile", "role"]);
    let may_not = person(&aws, &profiles("MAY-NOT"));
    assert_not_signed_in(
        &may_not,
        "role",
        &["role of the AWS profile role", "AccessDenied: no trust"],
    );
}

#[test]
fn a_command_that_changes_something_says_where_unless_that_is_this_computer() {
    let aws = aws();
    // An AWS elsewhere, which is reached through a proxy.
    let elsewhere = Person::of(&aws)
        .set("AWS_ENDPOINT_URL", "http://aws.example")
        .set("HTTP_PROXY", &aws.address);
    let here = Person::of(&aws);
    let place = "order-workflow in account 123456789012, region eu-central-1\n";
    let placed = elsewhere.run_with_input(&["place", "-"], ORDER.as_bytes());
    placed.assert(0, &[]);
    assert_eq!(placed.stderr, place);
    assert_eq!(
        here.run_with_input(&["place", "-"], ORDER.as_bytes())
            .stderr,
        ""
    );
    let json = ["place", "-", "--output", "json"];
    assert_eq!(elsewhere.run_with_input(&json, ORDER.as_bytes()).stderr, "");
    for command in [
        &["accept", "o", "--restaurant", "r"][..],
        &["reject", "o", "--restaurant", "r"],
        &[
            "fail",
            "o",
            "--restaurant",
            "r",
            "--error",
            "E",
            "--cause",
            "c",
        ],
        &["cancel", "o"],
        &["link", "customer", "o"],
        &["events"],
    ] {
        // What comes after it fails, since this AWS has no more.
        let done = elsewhere.run(command);
        assert!(done.stderr.starts_with(place), "{command:?}: {done:?}");
        assert!(!here.run(command).stderr.contains("account"), "{command:?}");
    }
    for command in [&["show", "o"][..], &["inbox", "--all"]] {
        let done = elsewhere.run(command);
        assert!(!done.stderr.contains("account"), "{command:?}: {done:?}");
    }
}
