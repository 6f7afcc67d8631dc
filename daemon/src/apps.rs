//! Application instances: what the runtime is to start for each.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use proxies::Ports;
use topologies::address::resolver;
use topologies::plan::{Instance, InstanceKind};
use topologies::runtime::{InstancePlan, Resolution, Software};

use crate::engines::files::FileOwner;
use crate::estate::Estate;

/// Makes plans of application instances.
pub struct Apps {
    /// The stack's directory.
    pub directory: PathBuf,
    /// Where the topology file lies: programs given by a relative path are looked up from there.
    pub base: PathBuf,
    /// Where ports really are.
    pub ports: Ports,
    /// Whether the stack's resolvers answer on port 53, the only one that programs ask.
    pub resolver_on_53: bool,
}

impl Apps {
    /// The plan of an application instance; its directory is made.
    ///
    /// # Errors
    /// When the instance is no application's, or its directory can not be made.
    pub fn plan(
        &self,
        estate: &Estate,
        instance: &Instance,
    ) -> Result<InstancePlan, Box<dyn std::error::Error + Send + Sync>> {
        let InstanceKind::App(service) = &instance.kind else {
            return Err(format!("instance `{}` is no application", instance.id).into());
        };
        let services = &estate.plan.topology.services;
        let service = services
            .iter()
            .find(|s| s.id == *service)
            .ok_or("its service is not planned")?;
        let mut command = service.command.clone();
        if let Some(program) = command.first_mut()
            && program.contains('/')
        {
            *program = self.base.join(&*program).display().to_string();
        }
        let port = self.ports.real(instance.port);
        let directory = self.directory.join("instances").join(instance.id.as_str());
        FileOwner::of_this_process().make_directory(&directory)?;
        let mut environment: BTreeMap<String, String> = topologies::plan::environment(
            &estate.plan,
            instance,
            &estate.secrets.for_environment(),
        );
        environment.insert("PORT".to_owned(), port.to_string());
        environment.insert("HOST".to_owned(), instance.address.engine().to_string());
        let resolution = if self.resolver_on_53 {
            Resolution::Nameserver(resolver(estate.plan.slot, instance.address.zone))
        } else {
            Resolution::HostsFile(crate::hosts::path(&self.directory, instance.address.zone))
        };
        Ok(InstancePlan {
            id: instance.id.clone(),
            zone: instance.zone.clone(),
            software: Software::Program,
            command,
            image: service.image.clone(),
            listen: SocketAddrV4::new(instance.address.engine(), port),
            directory,
            environment,
            resolution,
        })
    }
}
