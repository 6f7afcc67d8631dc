//! For `fuzz/fuzz.py`: reads requests as lines of JSON, answers each with what was understood and with the response that it was
//! told to render. `echo [FOLDER]` takes the models of a folder that `strip.py --out` wrote instead of those that are shipped.

use std::io::{BufRead, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use wire::{Catalog, Fault, Request, Response, identify, refuse, respond, sigv4};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1);
    let catalog = match &folder {
        Some(folder) => &other(folder)?,
        None => Catalog::standard(),
    };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(catalog, &serde_json::from_str(&line?)?);
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn other(folder: &str) -> Result<Catalog, Box<dyn std::error::Error>> {
    let mut models = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.and_then(|name| name.strip_suffix(".json.gz")) {
            models.push((name.to_owned(), std::fs::read(&path)?));
        }
    }
    let index = std::fs::read_to_string(std::path::Path::new(folder).join("index.json"))?;
    Ok(Catalog::of(&index, models)?)
}

/// `{method, uri, headers, body, now, secret, output | fault}` to `{understood, response}`.
fn answer(catalog: &Catalog, asked: &Value) -> Value {
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    let body = BASE64_STANDARD.decode(text("body")).unwrap_or_default();
    let headers: Vec<(&str, &[u8])> = asked["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?.as_bytes())))
        .collect();
    let request = Request {
        method: text("method"),
        uri: text("uri"),
        headers: &headers,
        body: &body,
    };
    let call = match identify(catalog, request) {
        Ok(call) => call,
        Err(refusal) => {
            let response = refuse(catalog, &refusal, "request-1");
            return json!({"understood": {"refused": refusal.fault.code}, "response": plain(&response)});
        }
    };
    let secret = |_: &str| {
        let key = asked["secret"].as_str()?.to_owned();
        let session_token = asked["token"].as_str().map(str::to_owned);
        Some(sigv4::Secret { key, session_token })
    };
    let signed = sigv4::verify(&call, secret, asked["now"].as_i64().unwrap_or_default());
    let input = call.read();
    let violations = match &input {
        Ok(input) => wire::coral(&call.violations(input)),
        Err(_) => String::new(),
    };
    let result = match asked.get("fault") {
        Some(fault) => Err(faulty(&call, fault)),
        None => Ok(asked["output"].clone()),
    };
    let strays = result.as_ref().map(|output| call.strays(output));
    let response = respond(&call, &result, "request-1");
    json!({
        "understood": {
            "service": call.service().name(),
            "operation": call.operation(),
            "protocol": format!("{:?}", call.protocol()),
            "region": call.region(),
            "input": input.as_ref().ok(),
            "misread": input.as_ref().err().map(|fault| format!("{}: {}", fault.code, fault.message)),
            "violations": violations,
            "signed": signed.map_or_else(|fault| format!("{}: {}", fault.code, fault.message), |_| "yes".to_owned()),
            "strays": strays.unwrap_or_default(),
        },
        "response": plain(&response),
    })
}

fn faulty(call: &wire::Call<'_>, asked: &Value) -> Fault {
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    let mut fault = call.fault(text("name"), text("message"));
    for (name, value) in asked["members"].as_object().into_iter().flatten() {
        fault = fault.member(name, value.clone());
    }
    fault
}

fn plain(response: &Response) -> Value {
    let headers: Vec<Value> = response
        .headers
        .iter()
        .map(|(name, value)| json!([name, value]))
        .collect();
    json!({
        "status": response.status,
        "headers": headers,
        "body": BASE64_STANDARD.encode(&response.body),
    })
}
