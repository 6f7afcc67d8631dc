//! What faults do to calls of the AWS API: late answers, throttling, failure.
//!
//! AWS throttles with token buckets, by account and region ("Throttling for the Amazon EC2 API"); here a fault has one, which is full
//! when the fault begins and takes a second to fill.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos::active::ActiveFault;
use chaos::fault::{ApiCalls, Fault};
use topologies::id::FaultId;
use topologies::nearest::nearest;
use wire::Catalog;

/// What happens to one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// How much later it is answered.
    pub(super) delay: Duration,
    /// Why it is not carried out.
    pub(super) refusal: Option<Refusal>,
}

/// Why a call is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There were too many. Said at once.
    Throttled,
    /// The service is not available. Said when it would have been answered.
    Unavailable,
}

/// The tokens that are left, by fault.
#[derive(Debug, Default)]
pub(super) struct Buckets(BTreeMap<FaultId, Bucket>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In thousandths.
    tokens: u64,
    /// In milliseconds.
    filled: i64,
}

impl Buckets {
    /// Takes a token at `now`, in milliseconds of a clock; whether there was one. The bucket holds as many as are filled in a second.
    fn take(&mut self, fault: &FaultId, rate: u32, now: i64) -> bool {
        let full = u64::from(rate) * 1_000;
        let bucket = self.0.entry(fault.clone()).or_insert(Bucket {
            tokens: full,
            filled: now,
        });
        // The wall clock may be set back.
        let since = u64::try_from(now.saturating_sub(bucket.filled)).unwrap_or(0);
        let filled = since.saturating_mul(u64::from(rate));
        bucket.tokens = bucket.tokens.saturating_add(filled).min(full);
        bucket.filled = now;
        let taken = bucket.tokens.checked_sub(1_000);
        bucket.tokens = taken.unwrap_or(bucket.tokens);
        taken.is_some()
    }

    /// Forgets faults that are over.
    fn keep(&mut self, faults: &[ActiveFault]) {
        let there = |id: &FaultId| faults.iter().any(|it| it.id == *id);
        self.0.retain(|id, _| there(id));
    }
}

/// What the faults in force do to a call that comes at `now`, in milliseconds of a clock.
pub(super) fn trouble(
    faults: &[ActiveFault],
    (service, operation): (&str, &str),
    buckets: &mut Buckets,
    now: i64,
) -> Trouble {
    buckets.keep(faults);
    let mut trouble = Trouble::default();
    let own = |it: &&ActiveFault| {
        let calls = it.fault.calls();
        calls.is_some_and(|calls| calls.include(service, operation))
    };
    for ActiveFault { id, fault, .. } in faults.iter().filter(own) {
        match fault {
            Fault::ThrottleApi { rate, .. } => {
                if !buckets.take(id, *rate, now) {
                    return Trouble {
                        delay: Duration::ZERO,
                        refusal: Some(Refusal::Throttled),
                    };
                }
            }
            Fault::SlowApi { latency, .. } => {
                trouble.delay = trouble.delay.saturating_add(*latency);
            }
            Fault::FailApi { .. } => trouble.refusal = Some(Refusal::Unavailable),
            Fault::KillAz { .. }
            | Fault::Kill { .. }
            | Fault::Stop { .. }
            | Fault::Freeze { .. }
            | Fault::Partition { .. }
            | Fault::Slow { .. } => {}
        }
    }
    trouble
}

/// Whether a fault is about calls that there are; if not, what is wrong.
///
/// # Errors
/// One sentence, with what was probably meant.
pub fn known(fault: &Fault) -> Result<(), String> {
    let (service, operation) = match fault.calls() {
        None | Some(ApiCalls::All) => return Ok(()),
        Some(ApiCalls::Service(service)) => (service, None),
        Some(ApiCalls::Operation(service, operation)) => (service, Some(operation)),
    };
    let meant = |near: Option<&str>| {
        near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"))
    };
    let Some(model) = Catalog::standard().service(service) else {
        let services: Vec<&str> = Catalog::standard().services().map(|it| it.name()).collect();
        let near = meant(nearest(service, &services));
        let services = services.join(", ");
        return Err(format!(
            "the AWS API has no service `{service}`{near}; services are {services}"
        ));
    };
    match operation {
        Some(operation) if !model.has_operation(operation) => {
            let built = super::services::operations(service);
            let near = meant(nearest(operation, &built));
            Err(format!("`{service}` has no operation `{operation}`{near}"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use topologies::time::Time;

    use super::*;

    fn fault(id: &str, fault: Fault) -> ActiveFault {
        ActiveFault {
            id: id.into(),
            fault,
            since: Time::ZERO,
            by: None,
        }
    }

    fn rds() -> ApiCalls {
        ApiCalls::Service("rds".to_owned())
    }

    const CALL: (&str, &str) = ("rds", "DescribeDBInstances");

    #[test]
    fn a_rate_is_a_bucket_that_fills_in_a_second() {
        let throttled = Fault::ThrottleApi {
            calls: rds(),
            rate: 2,
        };
        let faults = [fault("f1", throttled)];
        let mut buckets = Buckets::default();
        let mut passes = |call, now| trouble(&faults, call, &mut buckets, now).refusal.is_none();
        for (now, passed) in [
            (0, true),
            (0, true),
            (0, false),
            (499, false),
            (500, true),
            (500, false),
            (9_000, true),
            (9_000, true),
            (9_000, false),
            (8_000, false),
        ] {
            assert_eq!(passes(CALL, now), passed, "at {now}");
        }
        assert!(passes(("ec2", "DescribeInstances"), 9_000));
    }

    #[test]
    fn nothing_passes_a_rate_of_zero() {
        let calls = ApiCalls::Operation("rds".to_owned(), "DescribeDBInstances".to_owned());
        let faults = [fault("f1", Fault::ThrottleApi { calls, rate: 0 })];
        let mut buckets = Buckets::default();
        for now in [0, 10_000] {
            let met = trouble(&faults, CALL, &mut buckets, now);
            assert_eq!(met.refusal, Some(Refusal::Throttled));
        }
        let other = ("rds", "DescribeEvents");
        assert_eq!(trouble(&faults, other, &mut buckets, 0), Trouble::default());
    }

    #[test]
    fn delays_add_up_and_failure_comes_after_them() {
        let second = Duration::from_secs(1);
        let slow = |calls| Fault::SlowApi {
            calls,
            latency: second,
        };
        let faults = [
            fault("f1", slow(ApiCalls::All)),
            fault("f2", slow(rds())),
            fault("f3", Fault::FailApi { calls: rds() }),
        ];
        let met = trouble(&faults, CALL, &mut Buckets::default(), 0);
        let wanted = Trouble {
            delay: 2 * second,
            refusal: Some(Refusal::Unavailable),
        };
        assert_eq!(met, wanted);
    }

    #[test]
    fn calls_that_there_are_not_are_told() {
        let check = |calls: &str| {
            known(&Fault::FailApi {
                calls: calls.parse().unwrap(),
            })
        };
        assert_eq!(check("rds:DescribeDBInstances"), Ok(()));
        let service = check("rdz").unwrap_err();
        assert!(service.contains("did you mean `rds`?"), "{service}");
        assert_eq!(
            check("ec2:RunInstance").unwrap_err(),
            "`ec2` has no operation `RunInstance` (did you mean `RunInstances`?)"
        );
    }
}
