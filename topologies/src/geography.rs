//! Where AWS's regions are, and which countries are on which continent: what routing by latency, location and proximity goes by.
//!
//! Route 53 measures latencies; here the great circle between two regions stands for them (the regions' cities are those that AWS
//! names, "Regions and Zones"). Continents are Route 53's (`GeoLocation`), countries those of ISO 3166-1.

use serde::{Deserialize, Serialize};

/// A place on the earth, in hundredths of a degree, which is as much as Route 53 takes (`Coordinates`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Coordinates {
    /// North of the equator, -9000 to 9000.
    pub latitude: i16,
    /// East of Greenwich, -18000 to 18000.
    pub longitude: i16,
}

/// Half of the earth's mean circumference, in kilometres: nothing is further away.
pub const FARTHEST_KM: f64 = 20_015.0;
/// The earth's mean radius, in kilometres.
const RADIUS_KM: f64 = 6_371.0;

impl Coordinates {
    /// Of decimals as Route 53 takes them, `49.22` and `-74.01`.
    pub fn read(latitude: &str, longitude: &str) -> Option<Self> {
        let latitude = hundredths(latitude).filter(|it| it.unsigned_abs() <= 9_000)?;
        let longitude = hundredths(longitude).filter(|it| it.unsigned_abs() <= 18_000)?;
        Some(Self {
            latitude,
            longitude,
        })
    }

    /// Both as decimals.
    pub fn written(self) -> (String, String) {
        let written = |it: i16| {
            let sign = if it < 0 { "-" } else { "" };
            let it = it.unsigned_abs();
            format!("{sign}{}.{:02}", it / 100, it % 100)
        };
        (written(self.latitude), written(self.longitude))
    }

    /// The great circle between two places, in kilometres.
    pub fn distance_km(self, other: Self) -> f64 {
        let radians = |hundredths: i16| (f64::from(hundredths) / 100.0).to_radians();
        let (here, there) = (radians(self.latitude), radians(other.latitude));
        let north = (there - here) / 2.0;
        let east = (radians(other.longitude) - radians(self.longitude)) / 2.0;
        let part = north.sin().powi(2) + here.cos() * there.cos() * east.sin().powi(2);
        2.0 * RADIUS_KM * part.clamp(0.0, 1.0).sqrt().asin()
    }
}

/// A decimal with up to two digits behind the point.
fn hundredths(text: &str) -> Option<i16> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.len() <= 3 && text.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || part.len() > 2 {
        return None;
    }
    let part: i32 = format!("{part:0<2}").parse().ok()?;
    let whole: i32 = whole.parse().ok()?;
    i16::try_from(sign * (whole * 100 + part)).ok()
}

/// A region, its country, the part of it where Route 53 knows parts, and its coordinates.
type Known = (&'static str, &'static str, Option<&'static str>, (i16, i16));

/// The regions that AWS has.
const REGIONS: [Known; 38] = [
    ("af-south-1", "ZA", None, (-3392, 1842)),
    ("ap-east-1", "HK", None, (2232, 11417)),
    ("ap-east-2", "TW", None, (2503, 12157)),
    ("ap-northeast-1", "JP", None, (3568, 13969)),
    ("ap-northeast-2", "KR", None, (3757, 12698)),
    ("ap-northeast-3", "JP", None, (3469, 13550)),
    ("ap-south-1", "IN", None, (1908, 7288)),
    ("ap-south-2", "IN", None, (1739, 7849)),
    ("ap-southeast-1", "SG", None, (135, 10382)),
    ("ap-southeast-2", "AU", None, (-3387, 15121)),
    ("ap-southeast-3", "ID", None, (-621, 10685)),
    ("ap-southeast-4", "AU", None, (-3781, 14496)),
    ("ap-southeast-5", "MY", None, (314, 10169)),
    ("ap-southeast-6", "NZ", None, (-3685, 17476)),
    ("ap-southeast-7", "TH", None, (1376, 10050)),
    ("ca-central-1", "CA", None, (4550, -7357)),
    ("ca-west-1", "CA", None, (5105, -11407)),
    ("cn-north-1", "CN", None, (3990, 11641)),
    ("cn-northwest-1", "CN", None, (3751, 10520)),
    ("eu-central-1", "DE", None, (5011, 868)),
    ("eu-central-2", "CH", None, (4737, 854)),
    ("eu-north-1", "SE", None, (5933, 1807)),
    ("eu-south-1", "IT", None, (4546, 919)),
    ("eu-south-2", "ES", None, (4165, -89)),
    ("eu-west-1", "IE", None, (5335, -626)),
    ("eu-west-2", "GB", None, (5151, -13)),
    ("eu-west-3", "FR", None, (4886, 235)),
    ("il-central-1", "IL", None, (3209, 3478)),
    ("me-central-1", "AE", None, (2445, 5438)),
    ("me-south-1", "BH", None, (2607, 5056)),
    ("mx-central-1", "MX", None, (2059, -10039)),
    ("sa-east-1", "BR", None, (-2355, -4663)),
    ("us-east-1", "US", Some("VA"), (3895, -7745)),
    ("us-east-2", "US", Some("OH"), (4000, -8300)),
    ("us-gov-east-1", "US", Some("OH"), (4000, -8300)),
    ("us-gov-west-1", "US", Some("OR"), (4587, -11969)),
    ("us-west-1", "US", Some("CA"), (3735, -12196)),
    ("us-west-2", "US", Some("OR"), (4587, -11969)),
];

/// The countries of each continent.
const CONTINENTS: [(&str, &str); 7] = [
    (
        "AF",
        "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW",
    ),
    ("AN", "AQ BV GS HM TF"),
    (
        "AS",
        "AE AF AM AZ BD BH BN BT CC CN CX GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE",
    ),
    (
        "EU",
        "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    ),
    (
        "NA",
        "AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC TT US VC VG VI",
    ),
    (
        "OC",
        "AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS",
    ),
    ("SA", "AR BO BR CL CO EC FK GF GY PE PY SR UY VE"),
];

/// The states of the USA, with its capital's district.
const STATES: &str = "AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY";

fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|it| it == word)
}

fn known(region: &str) -> Option<&'static Known> {
    REGIONS.iter().find(|(name, ..)| *name == region)
}

/// Where a region is, if it is one that AWS has.
pub fn coordinates(region: &str) -> Option<Coordinates> {
    let (.., (latitude, longitude)) = *known(region)?;
    Some(Coordinates {
        latitude,
        longitude,
    })
}

/// The country of a region, and the part of it where Route 53 knows parts.
pub fn country_of_region(region: &str) -> Option<(&'static str, Option<&'static str>)> {
    let (_, country, subdivision, _) = *known(region)?;
    Some((country, subdivision))
}

/// Whether Route 53 has this continent.
pub fn is_continent(code: &str) -> bool {
    CONTINENTS.iter().any(|(it, _)| *it == code)
}

/// The continent of a country; none if there is no such country.
pub fn continent_of(country: &str) -> Option<&'static str> {
    let found = CONTINENTS
        .iter()
        .find(|(_, countries)| has(countries, country))?;
    Some(found.0)
}

/// Whether Route 53 tells this part of a country apart: states of the USA, and regions of Ukraine, which have numbers
/// (`GeoLocation`, `SubdivisionCode`).
pub fn is_subdivision(country: &str, code: &str) -> bool {
    match country {
        "US" => has(STATES, code),
        "UA" => code.len() == 2 && code.bytes().all(|it| it.is_ascii_digit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_2_regions_have_countries_and_those_have_continents() {
        for (region, country, subdivision, _) in REGIONS {
            assert!(continent_of(country).is_some(), "{region}");
            assert!(
                subdivision.is_none_or(|it| is_subdivision(country, it)),
                "{region}"
            );
        }
        for (country, continent) in [("KR", Some("AS")), ("US", Some("NA")), ("ZZ", None)] {
            assert_eq!(continent_of(country), continent);
        }
    }

    #[test]
    fn no_country_is_on_two_continents() {
        let mut all: Vec<&str> = CONTINENTS.iter().flat_map(|it| it.1.split(' ')).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn s6_2_distances_are_about_right() {
        let between = |one: &str, other: &str| {
            let (one, other) = (coordinates(one).unwrap(), coordinates(other).unwrap());
            one.distance_km(other)
        };
        for (one, other, km) in [
            ("ap-northeast-2", "ap-northeast-1", 1_150.0),
            ("us-east-1", "eu-west-1", 5_450.0),
            ("us-east-1", "us-east-1", 0.0),
        ] {
            let measured = between(one, other);
            assert!((measured - km).abs() < 50.0, "{one} {other}: {measured}");
            assert!(measured <= FARTHEST_KM);
        }
    }

    #[test]
    fn coordinates_are_written_as_they_were_read() {
        for (latitude, longitude, read) in [
            ("49.22", "-74.01", Some((4922, -7401))),
            ("-0.05", "180", Some((-5, 18_000))),
            ("90", "0", Some((9_000, 0))),
            ("90.01", "0", None),
            ("1.234", "0", None),
            ("", "0", None),
            ("x", "0", None),
            ("--1", "0", None),
        ] {
            let found = Coordinates::read(latitude, longitude);
            assert_eq!(
                found.map(|it| (it.latitude, it.longitude)),
                read,
                "{latitude} {longitude}"
            );
            let again = found.map(|it| it.written());
            let again = again.and_then(|(one, other)| Coordinates::read(&one, &other));
            assert_eq!(again, found);
        }
    }
}
