//! Scratch.
use daemon::up::*;
fn main() -> std::process::ExitCode {
    if std::env::args()
        .nth(1)
        .is_some_and(|a| a == daemon::shim::LAUNCHER)
    {
        return daemon::shim::main();
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(real());
    std::process::ExitCode::SUCCESS
}
async fn real() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let file = std::env::args().nth(1).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let (t, notes) = topologies::check::check(&text, &file);
    for n in &notes {
        eprintln!("{n:?}");
    }
    let dir = std::path::PathBuf::from(std::env::args().nth(2).unwrap());
    std::fs::create_dir_all(&dir).unwrap();
    let o = UpOptions {
        topology: t.unwrap(),
        plan_slot: topologies::address::Slot::new(70).unwrap(),
        directory: dir,
        cache: "/var/cache/localaws".into(),
        runtime: match std::env::args().nth(3).as_deref() {
            Some("docker") => RuntimeWish::Docker,
            _ => RuntimeWish::Process,
        },
        seed: 1,
        topology_path: std::fs::canonicalize(file).unwrap(),
        resume: true,
    };
    let t0 = std::time::Instant::now();
    let mut s = daemon::launch::up(o, &|p| eprintln!("{:?} {p:?}", t0.elapsed()))
        .await
        .unwrap();
    let r = s.ready(&|p| eprintln!("{:?} {p:?}", t0.elapsed())).await;
    eprintln!("{:?} ready {r:?}", t0.elapsed());
    let secs: u64 = std::env::args()
        .nth(4)
        .and_then(|s| s.parse().ok())
        .unwrap_or(10);
    tokio::select! { _ = tokio::time::sleep(std::time::Duration::from_secs(secs)) => {}, _ = s.asked_to_end() => {} }
    eprintln!("end {:?}", s.end().await);
}
