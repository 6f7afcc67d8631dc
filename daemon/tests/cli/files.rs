//! Commands that need no stack, and all that can be wrong with what they are given.

use std::io::Read;
use std::process::Stdio;

use super::{Answer, Place, tiers};

#[test]
fn tiers_are_checked_planned_and_explained() {
    let place = Place::new();
    for tier in ["tier-1k.yaml", "tier-10k.yaml"] {
        let file = tiers().join(tier);
        let file = file.to_str().unwrap();
        place.run(&["check", file]).ends(0).prints("endpoints");
        place.run(&["plan", file]).ends(0).prints("127.64.0.0/16");
        let json = place.run(&["plan", file, "--json"]).ends(0).out;
        let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(plan["views"][0]["resolver"], "127.64.0.2");
        let explained = place.run(&["explain", file]).ends(0).out;
        let again = place.file("explained.yaml", &explained);
        assert_eq!(place.run(&["explain", &again]).ends(0).out, explained);
    }
}

#[test]
fn schema_and_completions_are_printed() {
    let place = Place::new();
    let schema = place.run(&["schema"]).ends(0).out;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["title"], "localaws topology");
    for shell in ["bash", "zsh", "fish"] {
        place.run(&["completions", shell]).ends(0).prints("kill-az");
    }
}

#[test]
fn a_file_that_is_none_has_a_message_and_code_2() {
    let place = Place::new();
    let directory = place.path().to_str().unwrap().to_owned();
    let big = place.file("big.yaml", vec![b' '; (1 << 20) + 1]);
    let binary = place.file("binary.yaml", b"name: a\nregions: \xff");
    let bomb = place.file(
        "bomb.yaml",
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
    );
    let empty = place.file("empty.yaml", "");
    let broken = place.file("broken.yaml", "name: [");
    let unknown = place.file("unknown.yaml", "nmae: x\n");
    for command in ["check", "plan", "explain", "up", "rehearse"] {
        let wrong = |file: &str, text: &str| {
            place.run(&[command, file]).ends(2).says(text);
        };
        wrong("/nonexistent.yaml", "there is no file");
        wrong(&directory, "is a directory");
        wrong(&big, "larger than a topology may be");
        wrong(&binary, "line 2 has byte 0xff");
        wrong(&bomb, "error");
        wrong(&empty, "error");
        wrong(&broken, "error");
        wrong(&unknown, "nmae");
    }
    assert!(
        !place.path().join("home").exists(),
        "a wrong file left state"
    );
}

#[test]
fn notes_are_printed_as_json() {
    let place = Place::new();
    let tier = tiers().join("tier-1k.yaml");
    let json = |file: &str, code: i32| -> serde_json::Value {
        let answer = place.run(&["check", file, "--json"]).ends(code);
        assert_eq!(answer.err, "");
        serde_json::from_str(&answer.out).unwrap()
    };
    assert_eq!(json(tier.to_str().unwrap(), 0)["sound"], true);
    let wrong = json(&place.file("wrong.yaml", "\nnmae: x\n"), 2);
    assert_eq!(wrong["sound"], false);
    let notes = wrong["notes"].as_array().unwrap();
    let unknown = |note: &&serde_json::Value| note["message"].as_str().unwrap().contains("nmae");
    let note = notes.iter().find(unknown).unwrap();
    assert_eq!((&note["line"], &note["column"]), (&2.into(), &1.into()));
    assert_eq!(note["severity"], "error");
    let program = place.file("program.yaml", PROGRAM.replace("PROGRAM", "./missing"));
    let program = json(&program, 0);
    assert_eq!(program["notes"][0]["severity"], "warning", "{program}");
}

/// A stack of one instance of a program.
const PROGRAM: &str = "\
region: us-east-1
availability-zones: [a]
instances: { web: { program: PROGRAM, port: 8080 } }
";

#[test]
fn a_program_that_is_none_is_seen_beforehand() {
    let place = Place::new();
    place.file("plain", "");
    let directory = place.path().to_str().unwrap().to_owned();
    for (program, problem) in [
        ("./missing", "does not exist"),
        (&directory, "is a directory"),
        ("./plain", "is not executable"),
    ] {
        let file = place.file("program.yaml", PROGRAM.replace("PROGRAM", program));
        for command in ["check", "plan"] {
            place.run(&[command, &file]).ends(0).says(problem);
        }
        let up = place.run(&["up", &file, "--runtime", "process"]).ends(2);
        up.says(problem);
    }
    let file = place.file(
        "program.yaml",
        PROGRAM.replace("PROGRAM", "no-such-program"),
    );
    assert_eq!(place.run(&["check", &file]).ends(0).err, "");
    let up = place.run(&["up", &file, "--runtime", "process"]).ends(2);
    up.says("is nowhere in PATH");
    assert!(!place.path().join("home").exists(), "left state");
}

#[test]
fn a_pipe_is_read_only_where_it_is_handed_over() {
    let place = Place::new();
    let pipe = place.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let refused = place.run(&["check", pipe.to_str().unwrap()]).ends(2);
    refused.says("is not a regular file");
    let tier = std::fs::File::open(tiers().join("tier-1k.yaml")).unwrap();
    let mut cat = std::process::Command::new("cat")
        .stdin(tier)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut command = place.command(&["check", "/dev/stdin"]);
    command.stdin(cat.stdout.take().unwrap());
    Answer::of(command.output().unwrap()).ends(0);
    cat.wait().unwrap();
}

#[test]
fn a_command_that_is_none_has_code_2() {
    let place = Place::new();
    for arguments in [
        &["frobnicate"][..],
        &["check"],
        &["check", "a", "b"],
        &["status", "--stack", "../../etc"],
        &["chaos", "slow", "a", "b", "--latency", "soon"],
        &["chaos", "slow", "a", "b", "--latency", "-5ms"],
        &["chaos", "kill-az", ""],
        &["schema", "--stack", "x"],
        &["--stack", "x", "schema"],
        &["rehearse", "x", "--seeds", "0"],
        &["up", "x", "--runtime", "cloud"],
        &["exec"],
    ] {
        place.run(arguments).ends(2).says("error");
    }
    place.run(&["--help"]).ends(0).prints("Exit codes:");
    place.run(&["help", "up"]).ends(0).prints("Ctrl-C");
    place.run(&["--version"]).ends(0).prints("localaws 0");
}

#[test]
fn without_a_stack_the_way_out_is_told() {
    let place = Place::new();
    for arguments in [
        &["status"][..],
        &["endpoints"],
        &["events"],
        &["logs", "web-1"],
        &["chaos", "list"],
        &["exec", "--", "true"],
    ] {
        place.run(arguments).ends(2).says("localaws up FILE");
    }
    place
        .run(&["status", "--stack", "x"])
        .ends(2)
        .says("there is no stack `x`");
    place
        .run(&["down", "x"])
        .ends(2)
        .says("there is no stack `x`");
}

#[test]
fn a_state_directory_that_can_not_be_used_has_code_3() {
    let place = Place::new();
    let file = place.file("home", "");
    let topology = place.file("sleep.yaml", PROGRAM.replace("PROGRAM", "sleep"));
    for arguments in [&["up", &topology][..], &["doctor"]] {
        let mut command = place.command(arguments);
        let answer = Answer::of(command.env("LOCALAWS_HOME", &file).output().unwrap());
        assert!(format!("{}{}", answer.out, answer.err).contains("home"));
        answer.ends(3);
    }
}

#[test]
fn colours_follow_the_terminal_and_the_environment() {
    let place = Place::new();
    let wrong = place.file("wrong.yaml", "nmae: x\n");
    let colour = "\u{1b}[";
    let run = |set: &[(&str, &str)]| {
        let mut command = place.command(&["check", &wrong]);
        command.envs(set.iter().copied());
        Answer::of(command.output().unwrap()).ends(2).err
    };
    assert!(!run(&[]).contains(colour));
    assert!(run(&[("CLICOLOR_FORCE", "1")]).contains(colour));
    assert!(!run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains(colour));
}

#[test]
fn a_drill_is_checked_without_a_stack() {
    let place = Place::new();
    let tier = tiers().join("tier-10k.yaml");
    let tier = tier.to_str().unwrap();
    let shipped = tiers().join("../chaos/drills/az-power.yaml");
    let shipped = shipped.to_str().unwrap();
    place
        .run(&["drill", "check", shipped])
        .ends(0)
        .prints("; fits `");
    place
        .run(&["check", shipped])
        .ends(2)
        .says("is a drill, not a topology");
    place
        .run(&["drill", "check", tier])
        .ends(2)
        .says("is a topology, not a drill");
    let misfit = "\
name: misfit
workload:
  - sql-writes: {endpoint: order}
steps:
  - at: 1s
    inject: {kill: {instance: web-9}}
duration: 3s
expect:
  - writes-accepted-again: {endpoint: order, within: 1s}
";
    let file = place.file("misfit.yaml", misfit);
    place.run(&["drill", "check", &file]).ends(0);
    place
        .run(&["drill", "check", &file, "--against", tier])
        .ends(2)
        .says("misfit.yaml:3:28")
        .says("did you mean `orders`?")
        .says("misfit.yaml:5:5")
        .says("instance `web-9` does not exist");
    let unknown = misfit.replace("{kill: {instance: web-9}}", "{fail-api: {calls: rdx}}");
    let file = place.file("unknown.yaml", &unknown);
    place
        .run(&["drill", "check", &file])
        .ends(2)
        .says("unknown.yaml:5:5")
        .says("did you mean `rds`?");
    place
        .run(&["drill", "check", &file, "--against", tier])
        .ends(2)
        .says("did you mean `rds`?")
        .says("did you mean `orders`?");
}

#[test]
fn seeds_that_there_are_not_are_not_rehearsed() {
    let tier = concat!(env!("CARGO_MANIFEST_DIR"), "/../topologies/tier-1k.yaml");
    let last = u64::MAX.to_string();
    Place::new()
        .run(&["rehearse", tier, "--seed", &last, "--seeds", "2"])
        .ends(2)
        .says("no 2 seeds");
}

#[test]
fn who_stops_reading_ends_the_command_quietly() {
    let place = Place::new();
    let mut child = place
        .command(&["schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert_eq!(said, "");
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let place = Place::new();
    let wrong = place.file("wrong.yaml", "name: \"a\\e]0;x\\a\"\n\u{9b}2J: 1\n");
    let answer = place.run(&["check", &wrong]).ends(2);
    assert!(
        !answer.err.chars().any(|c| c.is_control() && c != '\n'),
        "{answer:#?}"
    );
}

/// The process runtime has nothing to run where only an image is named.
#[test]
fn an_image_alone_is_nothing_for_the_process_runtime() {
    let place = Place::new();
    let file = place.file(
        "shop.yaml",
        "region: us-east-1\navailability-zones: [a]\ninstances: { web: { image: nginx, port: 80 } }\n",
    );
    place.run(&["check", &file]).ends(0);
    place
        .run(&["up", &file, "--runtime", "process"])
        .ends(2)
        .says("instances `web` have an `image:` and no `program:`");
}
