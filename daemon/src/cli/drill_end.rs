//! Why a drill ended before its time, for its report and for who ran it. What became of its stack is looked for, not guessed.

use std::time::Duration;

use topologies::id::StackId;

use super::down::gone;
use super::exit::{Exit, Failure};
use super::target::Target;
use crate::api::views::StatusView;
use crate::state::Phase;
use crate::workload::{CutShort, DrillError};

/// How long a stack that is being taken down may take to be gone.
const GOING: Duration = Duration::from_secs(60);
/// How long a daemon that does not answer may take to have ended, if it is about to.
const ENDING: Duration = Duration::from_secs(2);

/// How a drill ended before its time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Why, for the report.
    pub(super) why: String,
    /// What the command ends with.
    pub(super) failure: Failure,
}

/// What became of the stack meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// It is there.
    Runs,
    /// Somebody took it down, and its data is there or is not.
    Down { kept: bool },
    /// Its daemon ended, and nobody had asked for it.
    Deserted,
}

/// Explains it.
pub(super) async fn explain(target: &Target, cut: CutShort) -> Ended {
    let fate = match &cut.why {
        DrillError::Stack(_) => fate(target).await,
        DrillError::Interrupted => match cut.unhealed {
            Some(_) => fate(target).await,
            None => Fate::Runs,
        },
        DrillError::Unfit(_)
        | DrillError::Broken(_)
        | DrillError::Experimented(_)
        | DrillError::Disturbed(_) => Fate::Runs,
    };
    in_words(&target.name, &cut, &fate)
}

async fn fate(target: &Target) -> Fate {
    let status = target.client.get::<StatusView>("/status").await;
    let patience = match &status {
        Ok(view) if view.state == "stopping" => GOING,
        Ok(_) => return Fate::Runs,
        Err(_) => ENDING,
    };
    let (home, name) = (&target.home, &target.name);
    // A home that can not be read any more says nothing of the stack.
    if !gone(home, name, patience).await.unwrap_or(false) {
        return match status {
            Ok(_) => Fate::Down { kept: true },
            Err(_) => Fate::Runs,
        };
    }
    match home.stack(name).record() {
        Ok(None) => Fate::Down { kept: false },
        Ok(Some(record)) if record.phase == Phase::Stopped => Fate::Down { kept: true },
        Ok(Some(_)) | Err(_) => Fate::Deserted,
    }
}

fn in_words(name: &StackId, cut: &CutShort, fate: &Fate) -> Ended {
    let told = cut.why.to_string();
    let ended = |why: &str, message: String| Ended {
        why: why.to_owned(),
        failure: Failure::new(Exit::Unknown, message),
    };
    let hinted = |mut ended: Ended, hint: &str| {
        ended.failure = ended.failure.hint(hint);
        ended
    };
    match (fate, &cut.unhealed) {
        (Fate::Down { kept }, _) => hinted(
            ended(
                "the stack was taken down while the drill ran",
                format!("stack `{name}` was taken down while the drill ran: nothing is judged"),
            ),
            match kept {
                true => {
                    "what the drill broke was healed with it; `localaws up` brings the stack up again"
                }
                false => "nothing is left of it; `localaws up FILE` brings one up",
            },
        ),
        (Fate::Deserted, _) => hinted(
            ended(
                "the stack's daemon ended while the drill ran",
                format!(
                    "the daemon of stack `{name}` ended while the drill ran: nothing is judged"
                ),
            ),
            "faults are still in force: `localaws up` resumes the stack, `localaws chaos heal` ends them",
        ),
        (Fate::Runs, None) if matches!(cut.why, DrillError::Interrupted) => ended(
            &told,
            "interrupted; what the drill broke is healed".to_owned(),
        ),
        (Fate::Runs, None) => ended(&told, told.clone()),
        (Fate::Runs, Some(cause)) => hinted(
            ended(
                &told,
                format!("{told}; failed to heal what the drill broke: {cause}"),
            ),
            "`localaws chaos list` tells what is in force, `localaws chaos heal` ends it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(why: DrillError, unhealed: Option<&str>, fate: &Fate) -> (String, String) {
        let unhealed = unhealed.map(str::to_owned);
        let ended = in_words(&"shop".into(), &CutShort { why, unhealed }, fate);
        assert_eq!(ended.failure.exit, Exit::Unknown);
        (ended.why, ended.failure.hint.unwrap_or_default())
    }

    #[test]
    fn a_stack_that_was_taken_down_is_told_as_such() {
        let gone = || DrillError::Stack("nobody answers".to_owned());
        let down = Fate::Down { kept: true };
        let (why, hint) = told(gone(), Some("nobody answers"), &down);
        assert_eq!(why, "the stack was taken down while the drill ran");
        assert!(!hint.contains("in force"), "{hint}");
        let (_, hint) = told(gone(), None, &Fate::Down { kept: false });
        assert!(hint.contains("nothing is left"), "{hint}");
        let (why, hint) = told(gone(), Some("nobody answers"), &Fate::Deserted);
        assert_eq!(why, "the stack's daemon ended while the drill ran");
        assert!(hint.contains("still in force"), "{hint}");
    }

    #[test]
    fn what_was_healed_needs_no_way_out() {
        let (why, hint) = told(DrillError::Interrupted, None, &Fate::Runs);
        assert_eq!((why.as_str(), hint.as_str()), ("it was interrupted", ""));
        let (_, hint) = told(DrillError::Interrupted, Some("no answer"), &Fate::Runs);
        assert!(hint.contains("chaos heal"), "{hint}");
        let refused = DrillError::Stack("the stack is full".to_owned());
        let (why, _) = told(refused, None, &Fate::Runs);
        assert_eq!(why, "the stack is full");
    }
}
