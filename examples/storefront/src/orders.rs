//! Orders: written to the writer, read from a replica, which may be a moment behind.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::failure::Failure;
use crate::{Answer, Shop};

/// What every item's stock was at the beginning.
const OPENING_STOCK: i64 = 1_000_000;

/// Made at start by whichever instance is first. The lock makes the others wait for it: of two that create a table at the same
/// moment, `IF NOT EXISTS` lets one fail.
pub(crate) const TABLE: &str = "DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('storefront.orders'));
    CREATE TABLE IF NOT EXISTS orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text UNIQUE,
        item text NOT NULL,
        quantity integer NOT NULL,
        instance text NOT NULL,
        placed timestamptz NOT NULL DEFAULT now()
    );
END $$";

/// A key that is there already leaves its order as it was: a client that got no answer repeats itself safely.
const PLACE: &str = "INSERT INTO orders (key, item, quantity, instance) VALUES ($1, $2, $3, $4)
    ON CONFLICT (key) DO UPDATE SET key = orders.key
    RETURNING id, key, item, quantity, instance, xmax = 0 AS placed_now";

const ONE: &str = "SELECT id, key, item, quantity, instance FROM orders WHERE id = $1";
const LATEST: &str =
    "SELECT id, key, item, quantity, instance FROM orders ORDER BY id DESC LIMIT $1";
const SOLD: &str = "SELECT item, sum(quantity) FROM orders GROUP BY item ORDER BY item";

/// What a client orders.
#[derive(Deserialize)]
pub(crate) struct NewOrder {
    /// Makes the order idempotent.
    key: Option<String>,
    item: String,
    quantity: i32,
}

/// An order as stored.
#[derive(Serialize)]
pub(crate) struct Order {
    id: i64,
    key: Option<String>,
    item: String,
    quantity: i32,
    /// Which instance of the shop took it.
    instance: String,
}

/// How many orders to list.
#[derive(Deserialize)]
pub(crate) struct Page {
    limit: Option<i64>,
}

/// What is left of an item.
#[derive(Serialize)]
pub(crate) struct Stock {
    item: String,
    left: i64,
}

impl NewOrder {
    fn check(&self) -> Result<(), Failure> {
        if !(1..=64).contains(&self.item.chars().count()) || self.item.contains('\0') {
            return Err(Failure::Invalid("item must have 1 to 64 characters"));
        }
        if !(1..=1_000).contains(&self.quantity) {
            return Err(Failure::Invalid("quantity must be 1 to 1000"));
        }
        let key = self.key.as_deref().unwrap_or("k");
        if !(1..=128).contains(&key.chars().count()) || key.contains('\0') {
            return Err(Failure::Invalid("key must have 1 to 128 characters"));
        }
        Ok(())
    }
}

impl From<&Row> for Order {
    fn from(row: &Row) -> Self {
        Self {
            id: row.get("id"),
            key: row.get("key"),
            item: row.get("item"),
            quantity: row.get("quantity"),
            instance: row.get("instance"),
        }
    }
}

/// `POST /orders`: 201 with the order; 200 with the first one when its key was used before.
pub(crate) async fn place(
    State(shop): State<Shop>,
    Json(order): Json<NewOrder>,
) -> Answer<(StatusCode, Json<Order>)> {
    order.check()?;
    let rows = shop
        .writer
        .query(
            PLACE,
            &[&order.key, &order.item, &order.quantity, &shop.instance],
        )
        .await?;
    let row = rows.first().ok_or(Failure::NotFound("no such order"))?;
    let status = if row.get("placed_now") {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(Order::from(row))))
}

/// `GET /orders/{id}`.
pub(crate) async fn one(State(shop): State<Shop>, Path(id): Path<i64>) -> Answer<Json<Order>> {
    let rows = shop.reader.query(ONE, &[&id]).await?;
    let row = rows.first().ok_or(Failure::NotFound("no such order"))?;
    Ok(Json(Order::from(row)))
}

/// `GET /orders?limit=20`: the latest, at most 1,000.
pub(crate) async fn latest(
    State(shop): State<Shop>,
    Query(page): Query<Page>,
) -> Answer<Json<Vec<Order>>> {
    let limit = page.limit.unwrap_or(20).clamp(1, 1_000);
    let rows = shop.reader.query(LATEST, &[&limit]).await?;
    Ok(Json(rows.iter().map(Order::from).collect()))
}

/// `GET /stock`: what is left of every item that was ever ordered.
pub(crate) async fn stock(State(shop): State<Shop>) -> Answer<Json<Vec<Stock>>> {
    let rows = shop.reader.query(SOLD, &[]).await?;
    let left = |row: &Row| Stock {
        item: row.get(0),
        left: OPENING_STOCK - row.get::<_, i64>(1),
    };
    Ok(Json(rows.iter().map(left).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_limits() {
        let check = |key: Option<&str>, item: &str, quantity: i32, valid: bool| {
            let key = key.map(str::to_owned);
            let item = item.to_owned();
            let order = NewOrder {
                key,
                item,
                quantity,
            };
            assert_eq!(order.check().is_ok(), valid, "{:?} {quantity}", order.item);
        };
        check(None, "tea", 1, true);
        check(Some("a-1"), "tea", 1_000, true);
        check(Some(""), "tea", 1, false);
        check(Some("\0"), "tea", 1, false);
        check(None, "", 1, false);
        check(None, "t\0", 1, false);
        check(None, &"x".repeat(65), 1, false);
        check(None, "tea", 0, false);
        check(None, "tea", 1_001, false);
    }
}
