//! What the models cost: memory and time of loading each, and of rendering a page of instances. `cargo run --release -p wire --example footprint`

use std::time::Instant;

use serde_json::Value;
use wire::{Catalog, Record, Request, identify, respond};

/// Resident memory in KiB, from the kernel's account of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or_default()
}

fn main() {
    let mut out = String::new();
    let catalog = Catalog::standard();
    let mut before = resident();
    out += &format!("without models {before} KiB\n");
    let start = before;
    for service in catalog.services() {
        let began = Instant::now();
        let operations = service.operations().len();
        let (took, after) = (began.elapsed(), resident());
        let grown = after.saturating_sub(before);
        out += &format!(
            "{:26} {operations:4} operations {grown:6} KiB {took:8.1?}\n",
            service.name()
        );
        before = after;
    }
    out += &format!("all models {} KiB\n", before - start);
    out += &render(catalog);
    out += &format!("in the end {} KiB\n", resident());
    std::io::Write::write_all(&mut std::io::stdout(), out.as_bytes()).unwrap_or_default();
}

/// DescribeDBInstances with a hundred instances, from bytes to bytes.
fn render(catalog: &Catalog) -> String {
    const ROUNDS: u32 = 200;
    let headers: &[(&str, &[u8])] = &[("content-type", b"application/x-www-form-urlencoded")];
    let request = Request {
        method: "POST",
        uri: "/",
        headers,
        body: b"Action=DescribeDBInstances&Version=2014-10-31&Filters.Filter.1.Name=engine&Filters.Filter.1.Values.Value.1=postgres",
    };
    let (mut reading, mut building, mut writing, mut size) = (0, 0, 0, 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let call = identify(catalog, request).expect("it is a call to RDS");
        call.input().expect("it is valid");
        reading += began.elapsed().as_nanos();
        let began = Instant::now();
        let output: Value = Record::new()
            .list("DBInstances", (0..100).map(instance))
            .into();
        building += began.elapsed().as_nanos();
        let began = Instant::now();
        size = respond(&call, &Ok(output), "b9b4b068").body.len();
        writing += began.elapsed().as_nanos();
    }
    let micros = |nanos: u128| nanos / 1000 / u128::from(ROUNDS);
    format!(
        "100 DB instances: {} us to read the call, {} us to build the output, {} us to render {size} bytes\n",
        micros(reading),
        micros(building),
        micros(writing)
    )
}

fn instance(index: i32) -> Record {
    let mut record = Record::new()
        .set("DBInstanceIdentifier", format!("orders-{index}"))
        .set("DBInstanceClass", "db.m6g.large")
        .set("Engine", "postgres")
        .set("DBInstanceStatus", "available")
        .set("MasterUsername", "app")
        .set(
            "Endpoint",
            Record::new()
                .set("Address", "orders.eu-west-1.rds.amazonaws.com")
                .set("Port", 5432),
        )
        .set("AllocatedStorage", 100)
        .time("InstanceCreateTime", 1_700_000_000_000)
        .set("PreferredBackupWindow", "03:00-03:30")
        .set("BackupRetentionPeriod", 7)
        .list(
            "VpcSecurityGroups",
            [Record::new()
                .set("VpcSecurityGroupId", "sg-1")
                .set("Status", "active")],
        )
        .set("AvailabilityZone", "eu-west-1a")
        .set("MultiAZ", true)
        .set("EngineVersion", "17.2")
        .list(
            "ReadReplicaDBInstanceIdentifiers",
            ["orders-r1", "orders-r2"],
        )
        .set("SecondaryAvailabilityZone", "eu-west-1b")
        .set("StorageType", "gp3")
        .set("StorageEncrypted", true)
        .set("DbiResourceId", "db-ABCDEFGHIJKL")
        .set("CopyTagsToSnapshot", false)
        .set("DeletionProtection", true);
    record.put(
        "DBInstanceArn",
        format!("arn:aws:rds:eu-west-1:123456789012:db:orders-{index}"),
    );
    record
}
