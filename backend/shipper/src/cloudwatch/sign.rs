//! Signature Version 4, for a CloudWatch Logs that asks who writes.

use std::{env, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use reqwest::RequestBuilder;

const SERVICE: &str = "logs";
/// Standard names of the environment.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// Who writes, and where. The keys do not appear when it is printed.
#[derive(Clone, Debug)]
pub struct Signer {
    identity: Identity,
    region: String,
}

impl Signer {
    pub fn new(region: &str, access_key: &str, secret_key: &str, token: Option<String>) -> Self {
        let credentials = Credentials::new(access_key, secret_key, token, None, "shipper");
        Self {
            identity: credentials.into(),
            region: region.to_owned(),
        }
    }

    /// From `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if it is there, `AWS_SESSION_TOKEN`.
    pub fn from_env(region: &str) -> Option<Self> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let (access, secret) = (variable(ACCESS_KEY)?, variable(SECRET_KEY)?);
        Some(Self::new(region, &access, &secret, variable(SESSION_TOKEN)))
    }

    /// Adds the signature of a POST with these headers and this body.
    pub(super) fn sign(
        &self,
        mut request: RequestBuilder,
        url: &str,
        headers: [(&str, &str); 2],
        body: &[u8],
        now: SystemTime,
    ) -> Result<RequestBuilder, SignError> {
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .expect("all parameters are set")
            .into();
        let body = SignableBody::Bytes(body);
        let signed = SignableRequest::new("POST", url, headers.into_iter(), body)?;
        let (instructions, _) = sign(signed, &params)?.into_parts();
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        Ok(request)
    }
}

pub(super) type SignError = aws_sigv4::http_request::SigningError;
