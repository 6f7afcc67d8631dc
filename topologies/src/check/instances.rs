//! Groups of application instances.

use super::{Checker, identifiers};
use crate::address::{HostAddress, ZoneNumber};
use crate::id::{ServiceId, ZoneId};
use crate::plan;
use crate::spec::{At, InstancesSpec};
use crate::topology::{Member, Service};

/// The most instances that any topology has addresses for.
const INSTANCES_MAX: usize = ZoneNumber::MAX_ZONES * HostAddress::MAX_HOSTS;

/// Variables that are set for every instance by itself.
pub(super) const OWN_VARIABLES: [&str; 4] = plan::OWN_VARIABLES;

pub(super) fn services(checker: &mut Checker<'_>) -> Vec<Service> {
    let spec = checker.spec;
    let mut total = 0;
    let mut services = Vec::new();
    for (name, group) in spec.instances.iter() {
        identifiers::name(checker, &identifiers::INSTANCES, name);
        command(checker, name, group);
        environment(checker, group);
        let Some(placement) = placement(checker, name, group, &mut total) else {
            continue;
        };
        let id = ServiceId::from(name.value.as_str());
        let numbered = placement.into_iter().zip(1..);
        let instances: Vec<Member> = numbered
            .map(|(zone, number)| Member {
                id: plan::app_instance(&id, number),
                zone,
            })
            .collect();
        for instance in &instances {
            checker.take(
                instance.id.to_string(),
                &format!("the instances `{}`", name.value),
                name.span,
            );
        }
        services.push(Service {
            id,
            instances,
            command: group
                .program
                .iter()
                .flat_map(|program| &program.value.0)
                .map(|word| word.value.clone())
                .collect(),
            image: group.image.as_ref().map(|image| image.value.clone()),
            port: group.port.value,
            environment: group
                .environment
                .iter()
                .map(|(name, value)| (name.value.clone(), value.value.0.clone()))
                .collect(),
        });
    }
    services
}

fn command(checker: &mut Checker<'_>, name: &At<String>, group: &InstancesSpec) {
    let words = group.program.iter().flat_map(|program| &program.value.0);
    let named = match &group.program {
        Some(program) => {
            let first = program.value.0.first();
            first.is_some_and(|word| !word.value.trim().is_empty())
        }
        // The image has one.
        None => group.image.is_some(),
    };
    if !named {
        checker.error_with(
            group.program.as_ref().map_or(name.span, |program| program.span),
            format!("instances `{}` have no program", name.value),
            "name one, `program: storefront`, or with arguments `program: [./app, --verbose]`; under docker an `image:` may have its own",
        );
    }
    for word in words.filter(|word| word.value.contains('\0')) {
        checker.error(
            word.span,
            "a program's words can not contain a NUL character",
        );
    }
    let texts = group.image.iter();
    for image in
        texts.filter(|image| !identifiers::printable(&image.value, "") || image.value.is_empty())
    {
        checker.error(
            image.span,
            format!("`{}` is not an image name", image.value.escape_debug()),
        );
    }
}

fn environment(checker: &mut Checker<'_>, group: &InstancesSpec) {
    for (variable, value) in group.environment.iter() {
        let name = &variable.value;
        let first = name.chars().next();
        let sound = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !sound || first.is_none_or(|c| c.is_ascii_digit()) {
            checker.error_with(
                variable.span,
                format!(
                    "`{}` is not a name of an environment variable",
                    name.escape_debug()
                ),
                "it is made of letters, digits and underscores, and begins with no digit",
            );
        }
        if OWN_VARIABLES.contains(&name.as_str()) {
            checker.error_with(
                variable.span,
                format!("`{name}` is set by localaws"),
                format!("every instance has its own {}", OWN_VARIABLES.join(", ")),
            );
        }
        if value.value.0.contains('\0') {
            checker.error(
                value.span,
                "an environment variable can not contain a NUL character",
            );
        }
    }
}

fn placement(
    checker: &mut Checker<'_>,
    name: &At<String>,
    group: &InstancesSpec,
    total: &mut usize,
) -> Option<Vec<ZoneId>> {
    let InstancesSpec {
        count,
        availability_zones,
        placement,
        ..
    } = group;
    if let Some(placement) = placement {
        if let Some(count) = count
            && count.value as usize != placement.value.len()
        {
            let message = format!(
                "count is {}, but placement has {} zones",
                count.value,
                placement.value.len()
            );
            checker.error_with(
                count.span,
                message,
                "leave out `count`: it follows from `placement`",
            );
        }
        if let Some(zones) = availability_zones {
            checker.error_with(
                zones.span,
                "`availability-zones` and `placement` are both given",
                "`placement` alone says where instances are",
            );
        }
        *total += placement.value.len();
        return checker.zones(placement);
    }
    let zones = match availability_zones {
        Some(written) => checker.distinct_zones(written)?,
        None => checker.default_zones(
            &format!("instances `{}`", name.value),
            name.span,
            "availability-zones",
        )?,
    };
    let wanted = count
        .as_ref()
        .map_or(zones.len(), |count| count.value as usize);
    *total += wanted;
    if *total > INSTANCES_MAX {
        let span = count.as_ref().map_or(name.span, |count| count.span);
        checker.error(
            span,
            format!("no topology can have more than {INSTANCES_MAX} instances"),
        );
        return None;
    }
    Some(zones.iter().cycle().take(wanted).cloned().collect())
}
