//! DescribeDBEngineVersions: the major versions that are driven. Which of their minor versions runs is this machine's affair.

use serde_json::Value;
use topologies::defaults::DB_VERSIONS;
use wire::{Call, Fault, Record, page};

use crate::aws::View;
use crate::aws::input::{is_on, text};

pub(super) fn describe(_: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let (lowest, highest) = DB_VERSIONS;
    let engine = text(input, "Engine").is_none_or(|engine| engine == "postgres");
    let family = text(input, "DBParameterGroupFamily");
    let wanted = text(input, "EngineVersion").map(|it| it.split('.').next().unwrap_or_default());
    let versions = (lowest..=highest).filter(|version| {
        let version = version.to_string();
        engine
            && wanted.is_none_or(|wanted| wanted == version)
            && family.is_none_or(|family| family == format!("postgres{version}"))
            && (!is_on(input, "DefaultOnly") || version == highest.to_string())
    });
    let versions: Vec<String> = versions.map(|version| version.to_string()).collect();
    let page = page(call, input, &versions, String::as_str)?;
    let shown = page.items.iter().map(|version| {
        Record::new()
            .set("Engine", "postgres")
            .set("MajorEngineVersion", version.as_str())
            .set("EngineVersion", version.as_str())
            .set("DBParameterGroupFamily", format!("postgres{version}"))
            .set("DBEngineDescription", "PostgreSQL")
            .set(
                "DBEngineVersionDescription",
                format!("PostgreSQL {version}"),
            )
            .set("SupportsReadReplica", true)
            .set("Status", "available")
    });
    let mut output = Record::new().list("DBEngineVersions", shown);
    page.write(&mut output);
    Ok(output)
}
