//! What is found after a drill: every key that its clients wrote, read back through the endpoint.

use std::time::Duration;

use chaos::drill::{Traffic, Workload};
use chaos::history::Survivors;
use chaos::ledger::Key;
use topologies::plan::Endpoint;

use super::Place;
use super::clients::{Sql, redis_connection};

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest that one try may take: keys may be millions, and an endpoint may hang.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long reading back is tried: the stack may still be recovering.
const LIMITS: Limits = Limits {
    each: PATIENCE,
    all: Duration::from_secs(60),
};

/// How long is tried.
struct Limits {
    /// One try.
    each: Duration,
    /// All of them.
    all: Duration,
}

/// Makes what clients write to, empty.
///
/// # Errors
/// In words; also when the endpoint does not do it in time.
pub(super) async fn clear(
    endpoint: &Endpoint,
    workload: &Workload,
    store: &str,
    place: &Place,
) -> Result<(), String> {
    within(PATIENCE, empty(endpoint, workload, store, place)).await
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

async fn empty(
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
                .map_err(|cause| crate::causes::chain(&cause))
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
    match patiently(&LIMITS, || read(endpoint, workload, store, place)).await {
        Ok(keys) => Survivors::Found(keys),
        Err(why) => Survivors::Unreadable(why),
    }
}

/// Tries until it works or the deadline has come; a try that hangs is given up for the next. The last reason, if none did.
async fn patiently<T, F: Future<Output = Result<T, String>>>(
    Limits { each, all }: &Limits,
    attempt: impl Fn() -> F,
) -> Result<T, String> {
    let begun = tokio::time::Instant::now();
    loop {
        let left = all.saturating_sub(begun.elapsed());
        let why = match within(left.min(*each), attempt()).await {
            Ok(found) => return Ok(found),
            Err(why) => why,
        };
        if begun.elapsed() + PAUSE >= *all {
            return Err(why);
        }
        tokio::time::sleep(PAUSE).await;
    }
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
                .map_err(|cause| crate::causes::chain(&cause))?;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_hangs_is_asked_again_and_given_up_in_time() {
        let limits = Limits {
            each: Duration::from_millis(20),
            all: Duration::from_millis(400),
        };
        let tries = AtomicU32::new(0);
        let hangs = || {
            tries.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<(), String>>()
        };
        let why = patiently(&limits, hangs).await.unwrap_err();
        assert!(why.contains("no answer within"), "{why}");
        assert_ne!(tries.load(Ordering::Relaxed), 0);

        let tries = AtomicU32::new(0);
        let second = patiently(&LIMITS, || async {
            match tries.fetch_add(1, Ordering::Relaxed) {
                0 => Err("not yet".to_owned()),
                n => Ok(n),
            }
        });
        assert_eq!(second.await, Ok(1));
    }
}
