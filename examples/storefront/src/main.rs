//! A small web shop, written as an ordinary application is: plain names, the C library's resolver, a pool of
//! connections, timeouts. It knows nothing of the emulator it is run by.
//!
//! It serves at once and makes its table when the database is there; without the database it answers 503.
//! Settings come from the environment, see `settings.rs`.

mod database;
mod failure;
mod orders;
mod sessions;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::database::Pool;
use crate::failure::Failure;
use crate::sessions::Sessions;
use crate::settings::Settings;

/// How long open requests may take after a request to end.
const GRACE: Duration = Duration::from_secs(5);

/// What every request needs.
struct Parts {
    writer: Pool,
    reader: Pool,
    sessions: Sessions,
    instance: String,
    zone: String,
}

type Shop = Arc<Parts>;
type Answer<T> = Result<T, Failure>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let settings = Settings::parse(|name| std::env::var(name).ok())?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("listen on {}", settings.listen))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    tracing::info!(address = %settings.listen, instance = %settings.instance, "serving");

    let shop = open(settings);
    let server = axum::serve(listener, routes(shop.clone())).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is the end as well.
        stopped.changed().await.ok();
    });
    let ended = async {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        tracing::info!("asked to end");
        stop.send_replace(());
        tokio::time::sleep(GRACE).await;
    };
    let preparation = async {
        make_table(&shop).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = server => result.context("serve"),
        () = ended => {
            tracing::warn!("requests were still open after {GRACE:?}");
            Ok(())
        }
        () = preparation => unreachable!("it waits for ever"),
    }
}

fn open(settings: Settings) -> Shop {
    let limits = settings.connections;
    Arc::new(Parts {
        writer: Pool::new("the database", settings.writer, limits),
        reader: Pool::new("the read replica", settings.reader, limits),
        sessions: Sessions::new(settings.sessions, limits),
        instance: settings.instance,
        zone: settings.zone,
    })
}

fn routes(shop: Shop) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/health", get(health))
        .route("/whoami", get(whoami))
        .route("/orders", get(orders::latest).post(orders::place))
        .route("/orders/{id}", get(orders::one))
        .route("/stock", get(orders::stock))
        .route("/login", post(login))
        .route("/session", get(session))
        .with_state(shop)
}

/// Tries until the database is there; several instances do so at once, and one of them wins.
async fn make_table(shop: &Parts) {
    while let Err(failure) = shop.writer.query(orders::TABLE, &[]).await {
        tracing::info!(?failure, "the orders table is not made yet");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn page(State(shop): State<Shop>) -> Html<String> {
    Html(format!(
        "<!doctype html><title>Storefront</title><h1>Storefront</h1>\
         <p>Served by {} in {}.</p>\
         <p><a href=/orders>Orders</a> · <a href=/stock>Stock</a> · <a href='/health?deep=1'>Health</a></p>\n",
        escape(&shop.instance),
        escape(&shop.zone),
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

async fn whoami(State(shop): State<Shop>) -> Json<Value> {
    Json(json!({"instance": shop.instance, "zone": shop.zone}))
}

#[derive(Deserialize)]
struct Depth {
    deep: Option<String>,
}

/// `/health` says that this process serves, no more. Were it to fail with the database, every instance would fail at once
/// and the load balancer would take all of them out for something that replacing them can not mend.
/// `/health?deep=1` asks everything that the shop depends on; it is meant for people.
async fn health(State(shop): State<Shop>, Query(depth): Query<Depth>) -> (StatusCode, Json<Value>) {
    if depth.deep.is_none_or(|deep| deep == "0") {
        return (StatusCode::OK, Json(json!({"status": "ok"})));
    }
    let (writer, reader, sessions) = tokio::join!(
        shop.writer.query("SELECT 1", &[]),
        shop.reader.query("SELECT 1", &[]),
        async {
            if shop.sessions.configured() {
                shop.sessions.ping().await
            } else {
                Ok(())
            }
        },
    );
    let word = |sound: bool| if sound { "ok" } else { "unavailable" };
    let sound = writer.is_ok() && reader.is_ok() && sessions.is_ok();
    let status = if sound {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "status": word(sound),
        "database": word(writer.is_ok()),
        "replica": word(reader.is_ok()),
        "sessions": word(sessions.is_ok()),
    });
    (status, Json(body))
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(State(shop): State<Shop>, Json(login): Json<Login>) -> Answer<impl IntoResponse> {
    if !(1..=64).contains(&login.user.chars().count()) {
        return Err(Failure::Invalid("user must have 1 to 64 characters"));
    }
    let cookie = shop.sessions.open(&login.user).await?;
    Ok(([(SET_COOKIE, cookie)], Json(json!({"user": login.user}))))
}

async fn session(State(shop): State<Shop>, headers: HeaderMap) -> Answer<Json<Value>> {
    let user = shop.sessions.user(&headers).await?;
    Ok(Json(json!({"user": user})))
}
