//! `status` and `endpoints` of a running stack.

use topologies::id::StackId;

use super::args::{Endpoints, Status};
use super::exit::{Exit, Failure};
use super::topology::json;
use super::{block_on, output, tables, target};
use crate::api::views::{EndpointsView, StatusView};

pub(super) fn status(arguments: &Status, stack: Option<StackId>) -> Result<Exit, Failure> {
    let target = target::find(stack)?;
    let view: StatusView = block_on(async {
        let answer = target.client.get("/status").await;
        answer.map_err(|error| target.explain(error))
    })?;
    if arguments.json {
        output::println(&json(&view)?)?;
    } else {
        output::print(&tables::status(&view))?;
    }
    Ok(Exit::Done)
}

pub(super) fn endpoints(arguments: &Endpoints, stack: Option<StackId>) -> Result<Exit, Failure> {
    let target = target::find(stack)?;
    let view: EndpointsView = block_on(async {
        let answer = target.client.get("/endpoints").await;
        answer.map_err(|error| target.explain(error))
    })?;
    if arguments.json {
        output::println(&json(&view)?)?;
    } else if arguments.env {
        let urls = variables(&view).map(|(key, url)| (key, url.to_owned()));
        let aws = aws(&view, &view.api, &view.region);
        let aws = aws.map(|(key, value)| (key.to_owned(), value));
        let lines = urls.chain(aws).filter(|(_, value)| !value.is_empty());
        let lines = lines.map(|(key, value)| format!("{key}={value}\n"));
        output::print(&lines.collect::<String>())?;
    } else {
        output::print(&tables::endpoints(&view))?;
        output::eprint(&usage(&view));
    }
    Ok(Exit::Done)
}

/// The endpoints' URLs as environment variables: `orders` is `ORDERS_URL`.
pub(super) fn variables(view: &EndpointsView) -> impl Iterator<Item = (String, &str)> {
    view.endpoints.iter().map(|endpoint| {
        let letters = endpoint.id.chars().map(|c| match c {
            c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
            _ => '_',
        });
        let mut key: String = letters.collect();
        if key.starts_with(|c: char| c.is_ascii_digit()) {
            key.insert(0, '_');
        }
        (format!("{key}_URL"), endpoint.url.as_str())
    })
}

/// What clients of AWS need to know to call the stack; a value is empty where the user's own must not be in force.
pub(super) fn aws(
    view: &EndpointsView,
    api: &str,
    region: &str,
) -> impl Iterator<Item = (&'static str, String)> {
    let credentials = &view.credentials;
    let token = credentials.session_token.clone();
    [
        ("AWS_ENDPOINT_URL", api.to_owned()),
        // Some SDKs read the one, some the other.
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()),
        (
            "AWS_SECRET_ACCESS_KEY",
            credentials.secret_access_key.clone(),
        ),
        ("AWS_SESSION_TOKEN", token.unwrap_or_default()),
    ]
    .into_iter()
}

/// How the endpoints are used from a shell.
pub(super) fn usage(view: &EndpointsView) -> String {
    let stack = &view.stack;
    let mut text = String::new();
    let first = |kind: &str| {
        let mut of_kind = variables(view).zip(&view.endpoints);
        of_kind.find(|(_, endpoint)| endpoint.kind == kind)
    };
    let shell = |command: String| format!("  localaws exec --stack {stack} -- {command}\n");
    if let Some(((key, _), _)) = first("rds-writer") {
        text.push_str(&shell(format!("sh -c 'psql \"${key}\"'")));
    }
    if let Some(((key, _), _)) = first("elasticache-primary") {
        text.push_str(&shell(format!("sh -c 'redis-cli -u \"${key}\"'")));
    }
    if let Some((_, endpoint)) = first("alb") {
        text.push_str(&shell(format!("curl {}", endpoint.url)));
    }
    text.push_str(&shell("aws ec2 describe-instances".to_owned()));
    let (resolver, api) = (&view.resolver, &view.api);
    format!(
        "\nnames are answered by the resolver {resolver}, AWS's API by {api}; `localaws exec` gives both to a program:\n{text}"
    )
}
