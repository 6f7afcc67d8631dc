//! The routing policy of a record set, as Route 53 reads and shows it.

use serde_json::Value;
use topologies::geography::{self, Coordinates};
use topologies::id::RegionId;
use topologies::topology::{FailoverRole, Location, Proximity, Routing};
use wire::{Fault, Record};

use super::cidr;
use crate::aws::View;
use crate::aws::input::{not_implemented, text};

/// Why a routing policy can not be.
pub(super) enum Wrong {
    /// Nobody can mean it.
    Input(String),
    /// It names what is not there.
    Batch(String),
    /// It is not built.
    Call(Fault),
}

/// The members of a record set that ask for a policy.
const POLICIES: [&str; 7] = [
    "Weight",
    "Region",
    "Failover",
    "GeoLocation",
    "MultiValueAnswer",
    "GeoProximityLocation",
    "CidrRoutingConfig",
];

/// The policy that a record set asks for.
pub(super) fn read(view: &View<'_>, set: &Value) -> Result<Routing, Wrong> {
    let is_asked = |policy: &&&str| !set[**policy].is_null() && set[**policy] != false;
    let mut asked = POLICIES.iter().filter(is_asked);
    let expected = "Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, GeoProximityLocation, or CidrRoutingConfig], but found";
    let Some(policy) = asked.next() else {
        return match text(set, "SetIdentifier") {
            Some(_) => Err(Wrong::Input(format!("{expected} none"))),
            None => Ok(Routing::Simple),
        };
    };
    if asked.next().is_some() {
        return Err(Wrong::Input(format!("{expected} more than one")));
    }
    let value = &set[*policy];
    Ok(match *policy {
        "Weight" => {
            let weight = value.as_u64().and_then(|it| u8::try_from(it).ok());
            let wrong = || Wrong::Input("Weight must be from 0 to 255".to_owned());
            Routing::Weighted(weight.ok_or_else(wrong)?)
        }
        "Region" => Routing::Latency(RegionId::from(value.as_str().unwrap_or_default())),
        "Failover" if value == "PRIMARY" => Routing::Failover(FailoverRole::Primary),
        "Failover" => Routing::Failover(FailoverRole::Secondary),
        "GeoLocation" => Routing::Geolocation(location(value)?),
        "GeoProximityLocation" => Routing::Geoproximity(proximity(value)?),
        "CidrRoutingConfig" => located(view, value)?,
        _ => Routing::MultiValue,
    })
}

fn location(value: &Value) -> Result<Location, Wrong> {
    let continent = text(value, "ContinentCode");
    let (country, part) = (text(value, "CountryCode"), text(value, "SubdivisionCode"));
    let unknown = |what: &str, code: &str| {
        Wrong::Input(format!(
            "The {what} code '{code}' in GeoLocation is not valid"
        ))
    };
    match (continent, country, part) {
        (Some(code), None, None) if geography::is_continent(code) => {
            Ok(Location::Continent(code.to_owned()))
        }
        (Some(code), None, None) => Err(unknown("continent", code)),
        (None, Some("*"), None) => Ok(Location::Default),
        (None, Some(country), part) => {
            if geography::continent_of(country).is_none() {
                return Err(unknown("country", country));
            }
            match part {
                None => Ok(Location::Country(country.to_owned())),
                Some(part) if geography::is_subdivision(country, part) => {
                    Ok(Location::Subdivision(country.to_owned(), part.to_owned()))
                }
                Some(part) => Err(unknown("subdivision", part)),
            }
        }
        (None, None, _) | (Some(_), ..) => Err(Wrong::Input(
            "GeoLocation takes either ContinentCode, or CountryCode with or without SubdivisionCode"
                .to_owned(),
        )),
    }
}

fn proximity(value: &Value) -> Result<Proximity, Wrong> {
    if text(value, "LocalZoneGroup").is_some() {
        let what = "GeoProximityLocation with LocalZoneGroup".to_owned();
        return Err(Wrong::Call(not_implemented(what)));
    }
    let bias = value["Bias"].as_i64().unwrap_or(0);
    let bias = i8::try_from(bias).ok().filter(|it| it.unsigned_abs() < 100);
    let bias = bias.ok_or_else(|| Wrong::Input("Bias must be from -99 to 99".to_owned()))?;
    match (text(value, "AWSRegion"), &value["Coordinates"]) {
        (Some(region), Value::Null) => {
            if geography::coordinates(region).is_none() {
                let text = format!("The region '{region}' in GeoProximityLocation is not valid");
                return Err(Wrong::Input(text));
            }
            Ok(Proximity {
                region: Some(RegionId::from(region)),
                coordinates: None,
                bias,
            })
        }
        (None, place @ Value::Object(_)) => {
            let degrees = |name| text(place, name).unwrap_or_default();
            let place = Coordinates::read(degrees("Latitude"), degrees("Longitude"));
            let wrong = || Wrong::Input("The Coordinates are not valid".to_owned());
            Ok(Proximity {
                region: None,
                coordinates: Some(place.ok_or_else(wrong)?),
                bias,
            })
        }
        _ => Err(Wrong::Input(
            "Expected exactly one of [AWSRegion, LocalZoneGroup, or Coordinates] in GeoProximityLocation"
                .to_owned(),
        )),
    }
}

/// A location of a CIDR collection.
fn located(view: &View<'_>, value: &Value) -> Result<Routing, Wrong> {
    let id = text(value, "CollectionId").unwrap_or_default();
    let location = text(value, "LocationName").unwrap_or_default();
    let found = cidr::find(view, id);
    let collection = found
        .ok_or_else(|| Wrong::Batch(format!("The CIDR collection with id {id} does not exist")))?;
    if location != "*" && !collection.locations.contains_key(location) {
        let text = format!("The CIDR location {location} does not exist in the collection {id}");
        return Err(Wrong::Batch(text));
    }
    Ok(Routing::Cidr {
        collection: collection.name.clone(),
        location: location.to_owned(),
    })
}

/// A record set with its policy.
pub(super) fn shown(record: Record, routing: &Routing) -> Record {
    match routing {
        Routing::Simple => record,
        Routing::Failover(FailoverRole::Primary) => record.set("Failover", "PRIMARY"),
        Routing::Failover(FailoverRole::Secondary) => record.set("Failover", "SECONDARY"),
        Routing::Weighted(weight) => record.set("Weight", *weight),
        Routing::MultiValue => record.set("MultiValueAnswer", true),
        Routing::Latency(region) => record.set("Region", region.as_str()),
        Routing::Geolocation(location) => {
            let shown = match location {
                Location::Default => Record::new().set("CountryCode", "*"),
                Location::Continent(code) => Record::new().set("ContinentCode", code.as_str()),
                Location::Country(code) => Record::new().set("CountryCode", code.as_str()),
                Location::Subdivision(country, code) => Record::new()
                    .set("CountryCode", country.as_str())
                    .set("SubdivisionCode", code.as_str()),
            };
            record.set("GeoLocation", shown)
        }
        Routing::Geoproximity(place) => {
            let coordinates = place.coordinates.map(|it| {
                let (latitude, longitude) = it.written();
                Record::new()
                    .set("Latitude", latitude)
                    .set("Longitude", longitude)
            });
            let shown = Record::new()
                .maybe("AWSRegion", place.region.as_ref().map(RegionId::as_str))
                .maybe("Coordinates", coordinates)
                .set("Bias", i64::from(place.bias));
            record.set("GeoProximityLocation", shown)
        }
        Routing::Cidr {
            collection,
            location,
        } => {
            let shown = Record::new()
                .set("CollectionId", cidr::id_of(collection))
                .set("LocationName", location.as_str());
            record.set("CidrRoutingConfig", shown)
        }
    }
}
