//! Attributes of an Application Load Balancer about headers (aws-behaviour §4.1, §4.6).

use topologies::topology::{ForwardedFor, Headers};
use wire::Fault;

use crate::aws::View;

const MODE: &str = "routing.http.xff_header_processing.mode";
const CLIENT_PORT: &str = "routing.http.xff_client_port.enabled";
const PRESERVE_HOST: &str = "routing.http.preserve_host_header.enabled";
const DROP_INVALID: &str = "routing.http.drop_invalid_header_fields.enabled";

/// Sets an attribute if it is one of these; whether it is.
pub(super) fn attribute(
    view: &View<'_>,
    headers: &mut Headers,
    (key, value): (&str, &str),
) -> Result<bool, Fault> {
    let wrong = || {
        let text = format!("Load balancer attribute key '{key}' cannot have the value '{value}'");
        view.fault("InvalidConfigurationRequestException", text)
    };
    let on = || value.parse().map_err(|_| wrong());
    match key {
        MODE => {
            headers.forwarded_for = match value {
                "append" => ForwardedFor::Append,
                "preserve" => ForwardedFor::Preserve,
                "remove" => ForwardedFor::Remove,
                _ => return Err(wrong()),
            };
        }
        CLIENT_PORT => headers.client_port = on()?,
        PRESERVE_HOST => headers.preserve_host = on()?,
        DROP_INVALID => headers.drop_invalid = on()?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// These attributes and their values.
pub(super) fn shown(headers: &Headers) -> [(&'static str, &'static str); 4] {
    let word = |on| if on { "true" } else { "false" };
    let mode = match headers.forwarded_for {
        ForwardedFor::Append => "append",
        ForwardedFor::Preserve => "preserve",
        ForwardedFor::Remove => "remove",
    };
    [
        (MODE, mode),
        (CLIENT_PORT, word(headers.client_port)),
        (PRESERVE_HOST, word(headers.preserve_host)),
        (DROP_INVALID, word(headers.drop_invalid)),
    ]
}
