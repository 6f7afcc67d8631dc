//! A program that ends again and again: what whoever wrote it needs to know.

use std::path::{Path, PathBuf};

use topologies::id::InstanceId;

/// A program that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) instance: InstanceId,
    /// `exit code 1`, `signal 9`.
    pub(super) how: String,
}

impl Ended {
    /// Where its log stays: that of a stack which is new, and whose first event is number 1, goes with the stack.
    pub(super) fn log(&self, stack: &Path, since: u64) -> Option<PathBuf> {
        let directory = stack.join("instances").join(self.instance.as_str());
        let log = directory.join("log");
        (since > 0 && log.is_file()).then_some(log)
    }

    /// The way out, after `lines` of its log were shown.
    pub(super) fn hint(&self, lines: usize, log: Option<&Path>) -> String {
        let Self { instance, how } = self;
        let wrote = match (lines, log) {
            (0, _) => format!("{instance} wrote nothing to its log"),
            (_, Some(log)) => format!(
                "the last lines of its log stand above, all of it is `{}`",
                log.display()
            ),
            (_, None) => "the last lines of its log stand above; the rest is not kept".to_owned(),
        };
        // What forks and returns has done its work, it thinks.
        let foreground = match how.as_str() {
            "exit code 0" => {
                "; it ended without an error, but an instance's program runs in the foreground until it is ended"
            }
            _ => "",
        };
        format!("{wrote}{foreground}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_tells_what_it_wrote_and_where_its_log_is() {
        let ended = |how: &str| Ended {
            instance: "web-1".into(),
            how: how.to_owned(),
        };
        let log = Path::new("/stacks/shop/instances/web-1/log");
        assert_eq!(
            ended("exit code 7").hint(3, Some(log)),
            "the last lines of its log stand above, all of it is `/stacks/shop/instances/web-1/log`"
        );
        let silent = ended("exit code 0").hint(0, None);
        assert!(silent.contains("wrote nothing"), "{silent}");
        assert!(silent.contains("in the foreground"), "{silent}");
    }

    #[test]
    fn the_log_of_a_stack_that_goes_is_not_named() {
        let stack = tempfile::tempdir().unwrap();
        let directory = stack.path().join("instances/web-1");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("log"), "").unwrap();
        let ended = Ended {
            instance: "web-1".into(),
            how: String::new(),
        };
        assert_eq!(ended.log(stack.path(), 0), None);
        assert!(ended.log(stack.path(), 12).is_some());
    }
}
