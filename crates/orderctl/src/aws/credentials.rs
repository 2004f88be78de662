//! With whose credentials AWS is called, and what to say if there are none.

use std::error::Error;
use std::fmt;

use aws_config::SdkConfig;
use aws_config::profile::{self, ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_types::os_shim_internal::{Env, Fs};

use crate::failure::{Failure, cause, causes, deepest};
use crate::render::clean;

/// The credentials to call AWS with. Those of the profile that `--profile` names, and no others, even if the environment has
/// keys: they may be of another account. Without `--profile`, those that the SDK finds, with the profile that
/// `AWS_DEFAULT_PROFILE` names as its default.
pub async fn provider(
    named: Option<&str>,
    default: Option<&str>,
    config: &SdkConfig,
    http_client: SharedHttpClient,
) -> Result<Option<SharedCredentialsProvider>, Failure> {
    let named = named.map(str::to_owned);
    let profiles = profile::load(
        &Fs::real(),
        &Env::real(),
        &EnvConfigFiles::default(),
        named.clone().or(default.map(str::to_owned)).map(Into::into),
    )
    .await
    .map_err(|error| {
        let why = deepest(&error);
        Failure::other(format!("the files of AWS profiles cannot be read: {why}"))
    })?;
    let name = profiles.selected_profile();
    let asked_for =
        named.is_some() || default.is_some() || std::env::var_os("AWS_PROFILE").is_some();
    if asked_for && profiles.get_profile(name).is_none() {
        return Err(Failure::other(format!(
            "there is no AWS profile {}: `aws configure list-profiles` lists those that there are",
            clean(name)
        )));
    }
    let provider = match &named {
        None => config.credentials_provider(),
        Some(name) => {
            let config = ProviderConfig::without_region()
                .with_http_client(http_client)
                .with_region(config.region().cloned());
            let profile = ProfileFileCredentialsProvider::builder()
                .configure(&config)
                .profile_name(name);
            Some(SharedCredentialsProvider::new(profile.build()))
        }
    };
    Ok(provider.map(|provider| {
        SharedCredentialsProvider::new(Explained {
            provider,
            source: Source::of(&profiles),
            profile: clean(name),
        })
    }))
}

/// Where the credentials of a profile come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// `aws sso login`.
    Sso,
    /// `aws login`.
    Login,
    /// A program that prints them.
    Process,
    /// Keys in a file, or none at all.
    Keys,
}

impl Source {
    /// The source of the selected profile or, if it assumes a role, that of the profile which may assume it.
    fn of(profiles: &ProfileSet) -> Self {
        let mut name = profiles.selected_profile();
        // More profiles than there are would be a circle, which the SDK reports.
        for _ in profiles.profiles() {
            let Some(profile) = profiles.get_profile(name) else {
                break;
            };
            match profile.get("source_profile") {
                Some(source) if profile.get("role_arn").is_some() && source != name => {
                    name = source;
                }
                _ => {
                    let has = |key| profile.get(key).is_some();
                    return if has("sso_session") || has("sso_start_url") {
                        Self::Sso
                    } else if has("login_session") {
                        Self::Login
                    } else if has("credential_process") {
                        Self::Process
                    } else {
                        Self::Keys
                    };
                }
            }
        }
        Self::Keys
    }
}

/// A provider whose errors say what to do.
#[derive(Debug)]
struct Explained {
    provider: SharedCredentialsProvider,
    source: Source,
    profile: String,
}

impl ProvideCredentials for Explained {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let provided: provider::Result = self.provider.provide_credentials().await;
            provided.map_err(|error| {
                CredentialsError::provider_error(NoCredentials(self.explain(&error)))
            })
        })
    }
}

impl Explained {
    fn explain(&self, error: &CredentialsError) -> String {
        let Self {
            source, profile, ..
        } = self;
        let why = clean(&deepest(error)).trim().to_owned();
        if let Some(refused) = cause::<SdkError<AssumeRoleError>>(error)
            && let Some(code) = refused.code()
        {
            let said = clean(refused.message().unwrap_or("no more"));
            return format!(
                "the role of the AWS profile {profile} cannot be assumed: AWS answers {code}: {said}"
            );
        }
        if cause::<ConnectorError>(error).is_some() {
            return format!(
                "AWS cannot be reached for the credentials of the profile {profile} ({why}): check the region and the network"
            );
        }
        match (source, error) {
            (Source::Sso, _) => format!(
                "the AWS profile {profile} has no session, or it has expired ({why}): sign in with `aws sso login --profile {profile}`"
            ),
            (Source::Login, _) => {
                // Below it are AWS's errors as the SDK writes them for itself.
                let why = causes(error).find(|cause| !cause.is::<CredentialsError>());
                let why = why.map_or_else(String::new, |why| clean(&why.to_string()));
                format!(
                    "the AWS profile {profile} has no session, or it has expired ({why}): sign in with `aws login --profile {profile}`"
                )
            }
            (Source::Process, _) => {
                // The SDK puts these words before what the program says.
                let why = why.rsplit("Stderr: ").next().unwrap_or(&why);
                format!(
                    "the program that credential_process of the AWS profile {profile} names gave no credentials ({}): run it by itself to see why",
                    why.trim()
                )
            }
            (Source::Keys, CredentialsError::CredentialsNotLoaded(_)) => format!(
                "there are no credentials in the environment or the AWS profile {profile}: name another profile with --profile, or sign in with `aws login`"
            ),
            (Source::Keys, _) => {
                // The SDK names the part of it that found the mistake.
                let why = why.rsplit("could not be built: ").next().unwrap_or(&why);
                format!("the AWS profile {profile} gives no credentials ({why})")
            }
        }
    }
}

/// Why there are no credentials. It is among the causes of the call that needed them.
#[derive(Debug)]
pub struct NoCredentials(String);

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NoCredentials {}
