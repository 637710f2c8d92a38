//! Receivers: webhooks, and how requests to them are authorised.

use std::{collections::BTreeSet, path::Path};

use url::Url;

use super::{
    Authorization, Receiver, Secret, Webhook,
    checks::{Outcome, error},
    duration,
    yaml::{self, At},
};

pub(super) fn read(file: &yaml::File, folder: &Path) -> Outcome<Vec<Receiver>> {
    let default = yaml::HttpConfig::default();
    let global = file.global.as_ref();
    let global = global.and_then(|global| global.http_config.as_ref());
    let mut known = BTreeSet::new();
    let mut receivers = Vec::new();
    for (index, item) in file.receivers.iter().flatten().enumerate() {
        let option = format!("receivers[{index}]");
        let name = &item.name.value;
        if name.is_empty() || !known.insert(name) {
            let reason = format!("{name:?} is not a name of its own");
            return Err(error(&item.name, &format!("{option}.name"), reason));
        }
        let webhooks = item.webhook_configs.iter().flatten().enumerate();
        let webhooks = webhooks.map(|(index, item)| {
            let option = format!("{option}.webhook_configs[{index}]");
            let http = item.value.http_config.as_ref().or(global);
            webhook(item, http.unwrap_or(&default), folder, &option)
        });
        receivers.push(Receiver {
            name: name.clone(),
            webhooks: webhooks.collect::<Outcome<_>>()?,
        });
    }
    Ok(receivers)
}

fn webhook(
    item: &At<yaml::Webhook>,
    http: &yaml::HttpConfig,
    folder: &Path,
    option: &str,
) -> Outcome<Webhook> {
    let written = &item.value;
    let Some(url) = &written.url else {
        return Err(error(item, option, "url is missing"));
    };
    // The text is not repeated: it may hold a secret.
    let wrong = |reason: &str| error(url, &format!("{option}.url"), reason);
    if url.value.0.contains("{{") {
        return Err(wrong("templates are not supported"));
    }
    let parsed = Url::parse(&url.value.0).ok();
    let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let timeout_ms = written.timeout.as_ref().map(|timeout| {
        duration::go(&timeout.value).ok_or_else(|| {
            error(
                timeout,
                &format!("{option}.timeout"),
                "not a duration of Go",
            )
        })
    });
    Ok(Webhook {
        url: parsed.ok_or_else(|| wrong("not an http or https URL"))?,
        send_resolved: written.send_resolved.unwrap_or(true),
        alerts_max: usize::try_from(written.max_alerts.unwrap_or(0)).unwrap_or(usize::MAX),
        timeout_ms: timeout_ms.transpose()?.filter(|timeout_ms| *timeout_ms > 0),
        authorization: authorization(http, folder, option)?,
        follow_redirects: http.follow_redirects.unwrap_or(true),
    })
}

fn authorization(
    http: &yaml::HttpConfig,
    folder: &Path,
    option: &str,
) -> Outcome<Option<Authorization>> {
    let secret = |text: &Option<yaml::Hidden>, file: &Option<String>| match (text, file) {
        (Some(_), Some(_)) => Err("at most one of the secret and its file may stand here"),
        (None, Some(file)) => Ok(Secret::File(folder.join(file))),
        (Some(text), None) => Ok(Secret::Text(text.0.clone())),
        (None, None) => Ok(Secret::Text(String::new())),
    };
    let option = format!("{option}.http_config");
    match (&http.authorization, &http.basic_auth) {
        (Some(header), Some(_)) => Err(error(
            header,
            &option,
            "at most one of authorization and basic_auth may stand here",
        )),
        (Some(header), None) => {
            let written = &header.value;
            let scheme = written.scheme.as_deref().unwrap_or("Bearer").trim();
            if scheme.eq_ignore_ascii_case("basic") {
                return Err(error(header, &option, "basic is the matter of basic_auth"));
            }
            let credentials = secret(&written.credentials, &written.credentials_file);
            Ok(Some(Authorization::Header {
                scheme: scheme.to_owned(),
                credentials: credentials.map_err(|reason| error(header, &option, reason))?,
            }))
        }
        (None, Some(basic)) => {
            let password = secret(&basic.value.password, &basic.value.password_file);
            Ok(Some(Authorization::Basic {
                username: basic.value.username.clone().unwrap_or_default(),
                password: password.map_err(|reason| error(basic, &option, reason))?,
            }))
        }
        (None, None) => Ok(None),
    }
}
