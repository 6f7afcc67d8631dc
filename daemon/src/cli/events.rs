//! `events` and `logs` of a stack. What happened to one that was taken down is read from its timeline.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use topologies::event::Event;
use topologies::id::StackId;

use super::args::{Events, Logs};
use super::exit::{Exit, Failure};
use super::{block_on, output, target};

pub(super) fn events(arguments: &Events, stack: Option<StackId>) -> Result<Exit, Failure> {
    let Events {
        follow,
        json,
        since,
        ..
    } = arguments;
    let render = |line: &str| match serde_json::from_str::<Event>(line) {
        Ok(event) if !json => output::printable(&event.to_string()),
        Ok(_) => line.to_owned(),
        // An event of a later version: shown as it came.
        Err(_) => output::printable(line),
    };
    // Nothing more happens to it, so there is nothing to follow.
    if let Some(past) = target::past(stack.as_ref())?.filter(|_| !follow) {
        return told(&past, *since, render);
    }
    stream(
        stack,
        &format!("/events?since={since}&follow={follow}"),
        render,
    )
}

/// Shows a timeline after the event of this number.
fn told(timeline: &Path, since: u64, render: impl Fn(&str) -> String) -> Result<Exit, Failure> {
    let failed = |error: io::Error| {
        Failure::machine(format!("failed to read `{}`: {error}", timeline.display()))
    };
    let file = File::open(timeline).map_err(failed)?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(failed)?;
        let event = serde_json::from_str::<Event>(&line);
        if event.map_or(since == 0, |event| event.seq > since) {
            output::println(&render(&line))?;
        }
    }
    Ok(Exit::Done)
}

pub(super) fn logs(arguments: &Logs, stack: Option<StackId>) -> Result<Exit, Failure> {
    let Logs {
        instance, follow, ..
    } = arguments;
    let path = format!("/logs/{}?follow={follow}", encoded(instance));
    stream(stack, &path, str::to_owned)
}

/// Any text as one segment of a path: the stack says what it thinks of it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let letters = text.bytes().map(|byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    letters.collect()
}

/// Text that stays one segment of a path. Identifiers consist of such characters only, so that nothing else exists.
pub(super) fn segment(text: &str) -> Result<&str, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('.') {
        Ok(text)
    } else {
        let shown = output::printable(text);
        Err(Failure::wrong(format!("`{shown}` does not exist")))
    }
}

fn stream(
    stack: Option<StackId>,
    path: &str,
    render: impl Fn(&str) -> String,
) -> Result<Exit, Failure> {
    let target = target::find(stack)?;
    block_on(async {
        let lines = target.client.lines(path).await;
        let mut lines = lines.map_err(|error| target.explain(error))?;
        while let Some(line) = lines.next().await.map_err(|error| target.explain(error))? {
            output::println(&render(&line))?;
        }
        Ok(Exit::Done)
    })
}
