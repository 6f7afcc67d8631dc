//! Route 53's health checks of endpoints: one checker, outside of the stack.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use proxies::dns::client::lookup;
use proxies::probe::{self, Question};
use tokio::time::Instant;
use topologies::defaults::paced;
use topologies::id::HealthCheckId;
use topologies::topology::{EndpointCheck, Protocol};

use super::{CHECKER_REASON, Prober, judge, ticks};
use crate::aws::health_check_id;
use crate::control::probe::{Check, Probe};

impl Prober {
    pub(super) async fn health_checks(
        self,
        id: HealthCheckId,
        check: EndpointCheck,
        begun: Instant,
    ) {
        let interval = paced(check.request_interval, self.timing().health_check_scale);
        let mut ticks = ticks(begun, interval);
        // Connect within 4 s, answer within 2 s more for HTTP (aws-behaviour §6.4), never longer than the interval.
        let limit = interval.min(Duration::from_secs(6));
        let reference = health_check_id(&id);
        loop {
            ticks.tick().await;
            let sent = self.clock.now();
            let found = self.check_endpoint(&reference, &check, limit).await;
            let probe = Probe::HealthCheck(id.clone(), found);
            if !self.report(sent, probe).await {
                return;
            }
        }
    }

    async fn check_endpoint(
        &self,
        reference: &str,
        check: &EndpointCheck,
        limit: Duration,
    ) -> Check {
        let failed = |detail: String| Check::Failed {
            reason: CHECKER_REASON,
            detail,
        };
        let address = match self.address_of(check, limit).await {
            Ok(address) => address,
            Err(why) => return failed(why),
        };
        let host = match (&check.fully_qualified_domain_name, check.port) {
            (Some(name), _) => name.clone(),
            (None, 80) => address.to_string(),
            (None, port) => format!("{address}:{port}"),
        };
        let address = SocketAddrV4::new(address, self.ports.real(check.port));
        let from = self.outside();
        let (outcome, found) = match check.protocol {
            Protocol::Http => {
                let question = Question {
                    path: &check.resource_path,
                    host: &host,
                    reference,
                    text: check.search_string.as_deref(),
                };
                probe::endpoint(from, address, question, limit).await
            }
            Protocol::Tcp => (probe::tcp(from, address, limit).await, true),
        };
        // 2xx and 3xx are healthy (aws-behaviour §6.4).
        match judge(&outcome, &[(200, 399)]) {
            Check::Passed(_) if !found => {
                failed("the answer does not begin with the text that is looked for".to_owned())
            }
            judged @ (Check::Passed(_) | Check::Failed { .. }) => judged,
        }
    }

    /// Whom a health check asks. Nobody is asked outside of this machine.
    async fn address_of(&self, check: &EndpointCheck, limit: Duration) -> Result<Ipv4Addr, String> {
        let address = match (check.address, &check.fully_qualified_domain_name) {
            (Some(address), _) => address,
            (None, Some(name)) => {
                let answer = lookup(self.resolver, name, limit).await.ok();
                let found = answer.and_then(|answer| answer.addresses.first().copied());
                found.ok_or_else(|| format!("{name} does not resolve"))?
            }
            (None, None) => return Err("nobody is there to be asked".to_owned()),
        };
        if address.is_loopback() {
            Ok(address)
        } else {
            Err(format!("{address} is not of this stack's network"))
        }
    }
}
