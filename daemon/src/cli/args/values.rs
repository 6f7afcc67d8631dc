//! How values on the command line are read, and what is said of those that are none.

use std::ffi::OsStr;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use topologies::duration;
use topologies::id::StackId;
use topologies::yaml::rate::Rate;

use crate::up::RuntimeWish;

/// Reads a runtime. The simulator is none: its time is not that of clients who would connect.
#[derive(Clone, Debug)]
pub(super) struct RuntimeParser;

impl TypedValueParser for RuntimeParser {
    type Value = RuntimeWish;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<RuntimeWish, clap::Error> {
        if value == "simulated" {
            let message = "there is nothing to connect to in the simulator: `localaws rehearse FILE` runs a topology in it, under \
                           random faults\n";
            return Err(clap::Error::raw(ErrorKind::InvalidValue, message).with_cmd(command));
        }
        EnumValueParser::<RuntimeWish>::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = RuntimeWish::value_variants().iter();
        Some(Box::new(values.filter_map(ValueEnum::to_possible_value)))
    }
}

pub(super) fn stack(text: &str) -> Result<StackId, String> {
    crate::state::stack_name(text).map_err(|error| error.to_string())
}

pub(super) fn target(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("name one; `localaws status` shows zones and instances".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn delay(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("packets do not come early: write a delay as `50ms` or `1.5s`".to_owned());
    }
    duration::parse(text).ok_or_else(|| "write it as `50ms` or `1.5s`".to_owned())
}

pub(super) fn rate(text: &str) -> Result<u32, String> {
    Rate::parse(text)
        .map(|rate| rate.0)
        .ok_or_else(|| "write a rate as `5/s`, in whole calls a second".to_owned())
}
