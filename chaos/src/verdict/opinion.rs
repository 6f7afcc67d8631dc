//! What is thought of a promise before it is told as a finding.

use super::{Evidence, Verdict};

/// A verdict in the making.
pub(super) struct Opinion {
    pub(super) verdict: Verdict,
    pub(super) because: String,
    pub(super) evidence: Vec<Evidence>,
}

impl Opinion {
    pub(super) fn held(because: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Held,
            because: because.into(),
            evidence: Vec::new(),
        }
    }

    pub(super) fn unknown(because: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            ..Self::held(because)
        }
    }

    pub(super) fn broken(because: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self {
            verdict: Verdict::Broken,
            because: because.into(),
            evidence,
        }
    }
}
