//! Where engines are on this machine. Whether they are there is the machine's to say, not the file's.

use super::Checker;
use crate::spec::At;
use crate::topology::EngineDirectories;

pub(super) fn engines(checker: &mut Checker<'_>) -> EngineDirectories {
    let Some(written) = &checker.spec.engines else {
        return EngineDirectories::default();
    };
    let engines = &written.value;
    EngineDirectories {
        postgres: directories(checker, "postgres", engines.postgres.as_ref()),
        redis: directories(checker, "redis", engines.redis.as_ref()),
    }
}

fn directories(
    checker: &mut Checker<'_>,
    engine: &str,
    written: Option<&At<Vec<At<String>>>>,
) -> Vec<String> {
    let Some(written) = written else {
        return Vec::new();
    };
    if written.value.is_empty() {
        checker.error_with(
            written.span,
            format!("`engines` names no directory of `{engine}`"),
            format!("leave `{engine}` out to have it looked for"),
        );
    }
    for directory in &written.value {
        if directory.value.trim().is_empty() || directory.value.contains('\0') {
            checker.error(
                directory.span,
                format!("a directory of `{engine}` has no path"),
            );
        }
    }
    let paths = written.value.iter().map(|path| path.value.clone());
    paths.collect()
}
