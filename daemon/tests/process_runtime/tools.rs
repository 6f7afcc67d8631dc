//! One-shot programs.

use std::time::Duration;

use topologies::runtime::{Runtime, RuntimeError, ToolOutput};

use crate::bench::{Bench, tool};

#[tokio::test]
async fn a_tool_tells_its_output_and_its_code() {
    let bench = Bench::new().await;
    let output = bench
        .runtime
        .run(&tool("echo out; echo err >&2; echo out; exit 3"))
        .await
        .unwrap();
    assert_eq!(
        output,
        ToolOutput {
            code: Some(3),
            output: "out\nerr\nout\n".to_owned()
        }
    );
    let killed = bench.runtime.run(&tool("kill -9 $$")).await.unwrap();
    assert_eq!(killed.code, None);
}

#[tokio::test]
async fn only_the_end_of_a_long_output_is_kept() {
    let bench = Bench::new().await;
    let output = bench
        .runtime
        .run(&tool("head -c 1000000 /dev/zero | tr '\\0' x; echo end"))
        .await
        .unwrap()
        .output;
    assert_eq!(output.len(), 64 << 10);
    assert!(output.ends_with("xend\n"));
}

#[tokio::test]
async fn a_tool_that_takes_too_long_is_killed_with_its_children() {
    let bench = Bench::new().await;
    let mut slow = tool("setsid sleep 1000 & sleep 1000");
    slow.timeout = Duration::from_millis(100);
    let error = bench.runtime.run(&slow).await.unwrap_err();
    assert!(matches!(error, RuntimeError::TimedOut { .. }), "{error}");
    assert_eq!(bench.marked(), 0);
}

#[tokio::test]
async fn a_tool_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let output = bench
        .runtime
        .run(&tool("setsid sleep 1000 & echo done"))
        .await
        .unwrap();
    assert_eq!(output.output, "done\n");
    assert_eq!(bench.marked(), 0);
}

#[tokio::test]
async fn a_tool_that_nobody_waits_for_ends() {
    let bench = Bench::new().await;
    let endless = tool("exec sleep 1000");
    tokio::select! {
        outcome = bench.runtime.run(&endless) => panic!("it ended: {outcome:?}"),
        () = async { while bench.marked() == 0 { tokio::task::yield_now().await } } => {}
    }
    let gone = async {
        while bench.marked() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("it ends");
}

#[tokio::test]
async fn a_tool_may_write_where_it_was_told() {
    let bench = Bench::new().await;
    let place = bench.stack.join("golden/cluster");
    let mut writer = tool("pwd; echo $HOME; touch file && echo written");
    writer.directories = vec![place.clone()];
    let output = bench.runtime.run(&writer).await.unwrap().output;
    let place = place.to_str().unwrap();
    assert_eq!(output, format!("{place}\n{place}\nwritten\n"));
}
