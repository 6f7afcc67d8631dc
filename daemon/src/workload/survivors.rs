//! What is found after a drill: every key that its clients wrote, read back through the endpoint.

use std::time::Duration;

use chaos::drill::{Traffic, Workload};
use chaos::history::Survivors;
use chaos::ledger::Key;
use topologies::plan::Endpoint;

use super::Place;
use super::clients::{Sql, redis_connection};

/// How long reading back is tried.
const TRIES: u32 = 40;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest that reading all keys may take: they may be millions.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes what clients write to, empty.
///
/// # Errors
/// In words.
pub(super) async fn clear(
    endpoint: &Endpoint,
    workload: &Workload,
    store: &str,
    place: &Place,
) -> Result<(), String> {
    match workload.traffic {
        Traffic::SqlWrites => {
            let sql = connect_sql(endpoint, place).await?;
            let statements =
                format!("DROP TABLE IF EXISTS {store}; CREATE TABLE {store} (key text NOT NULL)");
            sql.client
                .batch_execute(&statements)
                .await
                .map_err(|cause| crate::effects::chain(&cause))
        }
        Traffic::RedisWrites => {
            let target = place.careful(endpoint, PATIENCE);
            let mut redis =
                redis_connection(&target, place.auth_token(endpoint).as_deref()).await?;
            let deleted: Result<i64, _> =
                redis::cmd("DEL").arg(store).query_async(&mut redis).await;
            deleted.map(|_| ()).map_err(|cause| cause.to_string())
        }
        Traffic::Http { .. } => Ok(()),
    }
}

/// Reads back every key; tries for a while, for the stack may still be recovering.
pub(super) async fn collect(
    endpoint: &Endpoint,
    workload: &Workload,
    store: &str,
    place: &Place,
) -> Survivors {
    if !workload.traffic.writes() {
        return Survivors::NothingWritten;
    }
    let mut last = String::new();
    for _ in 0..TRIES {
        match read(endpoint, workload, store, place).await {
            Ok(keys) => return Survivors::Found(keys),
            Err(why) => last = why,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Survivors::Unreadable(last)
}

async fn read(
    endpoint: &Endpoint,
    workload: &Workload,
    store: &str,
    place: &Place,
) -> Result<Vec<Key>, String> {
    let texts: Vec<String> = match workload.traffic {
        Traffic::SqlWrites => {
            let sql = connect_sql(endpoint, place).await?;
            let query = format!("SELECT key FROM {store}");
            let rows = sql
                .client
                .query(&query, &[])
                .await
                .map_err(|cause| crate::effects::chain(&cause))?;
            rows.iter().map(|row| row.get(0)).collect()
        }
        Traffic::RedisWrites => {
            let target = place.careful(endpoint, PATIENCE);
            let mut redis =
                redis_connection(&target, place.auth_token(endpoint).as_deref()).await?;
            let members = redis::cmd("SMEMBERS")
                .arg(store)
                .query_async(&mut redis)
                .await;
            members.map_err(|cause| cause.to_string())?
        }
        Traffic::Http { .. } => Vec::new(),
    };
    texts
        .iter()
        .map(|text| Key::parse(text).ok_or_else(|| format!("`{text}` is no key of a drill")))
        .collect()
}

async fn connect_sql(endpoint: &Endpoint, place: &Place) -> Result<Sql, String> {
    let config = place
        .sql_config(endpoint)
        .ok_or("the endpoint is no database's")?;
    Sql::connect(&place.careful(endpoint, PATIENCE), &config).await
}
