//! What RDS and ElastiCache tell, in which order: nothing ends that has not begun (aws-behaviour §1.1, §1.2, §3.2).

use std::collections::{BTreeMap, BTreeSet};

use topologies::event::EventKind;
use topologies::id::DbInstanceId;

use super::invariants::Invariant;

/// An event that needs another before it: RDS-EVENT numbers of the end and of the beginnings of which one suffices.
const ENDS: [(u16, &[u16]); 8] = [
    (6, &[4, 49]),
    (15, &[13]),
    (49, &[13, 49]),
    (65, &[13]),
    (51, &[50]),
    (50, &[53]),
    (53, &[52]),
    (362, &[361]),
];

/// What has begun, by DB instance.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    databases: BTreeMap<DbInstanceId, BTreeSet<u16>>,
    /// Cache nodes that are being recovered.
    recovering: BTreeSet<String>,
}

impl Chronicle {
    /// Takes an event in.
    pub(super) fn judge(&mut self, event: &EventKind) -> Result<(), (Invariant, String)> {
        if let EventKind::ElasticacheEvent { message, .. } = event {
            return self.judge_recovery(message);
        }
        let EventKind::RdsEvent {
            source,
            id,
            message,
        } = event
        else {
            return Ok(());
        };
        let begun = self.databases.entry(source.clone()).or_default();
        let needs = ENDS.iter().find(|(end, _)| end == id);
        if let Some((_, beginnings)) = needs {
            let before = begun.len();
            begun.retain(|beginning| !beginnings.contains(beginning));
            if begun.len() == before {
                let detail = format!("{source}: RDS-EVENT-{id:04} `{message}` without a beginning");
                return Err((Invariant::EventsInOrder, detail));
            }
        }
        begun.insert(*id);
        Ok(())
    }

    /// A node's recovery begins once and ends once.
    fn judge_recovery(&mut self, message: &str) -> Result<(), (Invariant, String)> {
        let begins = message.strip_prefix("Recovering cache nodes ");
        let ends = message.strip_prefix("Finished recovery for cache nodes ");
        let begun = begins.is_none_or(|node| self.recovering.insert(node.to_owned()));
        let ended = ends.is_none_or(|node| self.recovering.remove(node));
        if begun && ended {
            return Ok(());
        }
        let detail = format!("`{message}` out of turn");
        Err((Invariant::EventsInOrder, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(ids: &[u16]) -> bool {
        let mut chronicle = Chronicle::default();
        ids.iter().all(|id| {
            let event = EventKind::RdsEvent {
                source: "orders".into(),
                id: *id,
                message: String::new(),
            };
            chronicle.judge(&event).is_ok()
        })
    }

    #[test]
    fn an_end_needs_its_beginning_each_time() {
        assert!(judge(&[5, 13, 49, 49, 6, 361, 362, 4, 6]));
        assert!(judge(&[52, 53, 50, 51, 52, 53, 13, 49, 49, 6]));
        for wrong in [
            &[362][..],
            &[361, 362, 362],
            &[4, 6, 6],
            &[52, 50],
            &[49],
            &[50, 51],
            &[65],
        ] {
            assert!(!judge(wrong), "{wrong:?}");
        }
    }
}
