//! What a container is made of: an instance's or a tool's plan as the body of an order to the engine. Pure.

mod privilege;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, RestartPolicy,
    RestartPolicyNameEnum,
};
use sha2::{Digest, Sha256};
use topologies::id::{InstanceId, StackId, ZoneId};
use topologies::runtime::{InstancePlan, Resolution, Software, ToolPlan};

use crate::images::Image;
use privilege::Privilege;

/// The stack's directory: what a container belongs to. Two users may both have a stack of the same name.
pub(crate) const STACK: &str = "localaws.stack";
/// The instance that a container is.
pub(crate) const INSTANCE: &str = "localaws.instance";
/// Marks a one-shot program.
pub(crate) const TOOL: &str = "localaws.tool";
/// The zone it stands in.
pub(crate) const ZONE: &str = "localaws.zone";
/// The plan that it was made by.
pub(crate) const PLAN: &str = "localaws.plan";

/// Changes when the body that is made of the same plan does.
const BODY_VERSION: &str = "1";

/// PostgreSQL maps its dynamic shared memory here; the engine's default of 64 MiB is too small for parallel queries. A limit,
/// not a reservation.
const POSTGRES_SHARED_MEMORY: i64 = 256 << 20;

/// Who processes in containers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number on this host.
    pub uid: u32,
    /// The group's.
    pub gid: u32,
}

impl User {
    /// `nobody`: who they are when the daemon is root.
    pub const NOBODY: Self = Self {
        uid: 65534,
        gid: 65534,
    };
}

/// What a container's body depends on beside the plan.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// The value of the label [`STACK`].
    pub(crate) label: &'a str,
    pub(crate) user: User,
    pub(crate) image: &'a Image,
    /// A password file that knows the user, where the image's own may not.
    pub(crate) passwd: Option<&'a Path>,
    /// Ports from here on need no privilege.
    pub(crate) unprivileged_from: u16,
}

/// The name of an instance's container.
pub(crate) fn name(stack: &StackId, instance: &InstanceId) -> String {
    format!("localaws-{stack}-{instance}")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect()
}

/// Where the file for this instance's `/etc/resolv.conf` is written, and what is in it. Not in the instance's directory: the
/// instance could put a link there, which a daemon that is root would follow.
pub(crate) fn resolver(
    plan: &InstancePlan,
    around: &Surroundings<'_>,
) -> Option<(PathBuf, String)> {
    match &plan.resolution {
        Resolution::Nameserver(address) => {
            let text = format!("nameserver {address}\noptions timeout:1 attempts:2\n");
            Some((
                Path::new(around.label).join(format!("{}.resolv.conf", plan.id)),
                text,
            ))
        }
        Resolution::Host | Resolution::HostsFile(_) => None,
    }
}

/// The container of an instance. `program` is the file on this host that the command's first word stands for, if it is not
/// in the image.
pub(crate) fn instance(
    plan: &InstancePlan,
    program: Option<&Path>,
    around: &Surroundings<'_>,
) -> ContainerCreateBody {
    let mut mounts = vec![mount(&plan.directory, &plan.directory, false)];
    if let Some((path, _)) = resolver(plan, around) {
        mounts.push(mount(&path, Path::new("/etc/resolv.conf"), true));
    }
    if let Resolution::HostsFile(path) = &plan.resolution {
        // A mount is of the file, not of its name: whoever keeps it true has to write into it, not to replace it.
        mounts.push(mount(path, Path::new("/etc/hosts"), true));
    }
    let mut command = if plan.command.is_empty() {
        around.image.command.clone()
    } else {
        plan.command.clone()
    };
    if let Some(program) = program {
        // The name is as asked for: some programs do by their name what they do.
        let word = command.first().map_or("", String::as_str);
        let inside =
            Path::new("/opt/localaws").join(Path::new(word).file_name().unwrap_or_default());
        mounts.push(mount(program, &inside, true));
        if let Some(word) = command.first_mut() {
            *word = inside.display().to_string();
        }
    }
    let privilege = Privilege::of(plan, around);
    let mut labels = labels(around.label, Some(&plan.zone));
    labels.insert(INSTANCE.to_owned(), plan.id.to_string());
    labels.insert(PLAN.to_owned(), plan_hash(plan, program, around));
    let mut body = body(
        privilege.wrap(command, around.user),
        &plan.environment,
        &plan.directory,
        mounts,
        around,
    );
    if plan.command.is_empty() {
        // What an image runs by itself may be named relative to the directory that it sets.
        body.working_dir = None;
    }
    body.user = Some(privilege.user(around.user));
    body.labels = Some(labels);
    body.stop_signal = Some(stop_signal(&plan.software).to_owned());
    if let Some(host) = &mut body.host_config {
        host.cap_add = Some(privilege.capabilities());
        host.shm_size =
            matches!(plan.software, Software::Postgres { .. }).then_some(POSTGRES_SHARED_MEMORY);
        host.log_config = Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), "8m".to_owned()),
                ("max-file".to_owned(), "2".to_owned()),
            ])),
        });
    }
    body
}

/// The container of a tool.
pub(crate) fn tool(plan: &ToolPlan, around: &Surroundings<'_>) -> ContainerCreateBody {
    let mounts = plan
        .directories
        .iter()
        .map(|directory| mount(directory, directory, false))
        .collect();
    let home = plan
        .directories
        .first()
        .map_or_else(|| PathBuf::from("/tmp"), Clone::clone);
    let mut labels = labels(around.label, plan.zone.as_ref());
    labels.insert(
        TOOL.to_owned(),
        plan.command.first().cloned().unwrap_or_default(),
    );
    let mut body = body(
        plan.command.clone(),
        &plan.environment,
        &home,
        mounts,
        around,
    );
    body.labels = Some(labels);
    body.attach_stdout = Some(true);
    body.attach_stderr = Some(true);
    if let Some(host) = &mut body.host_config {
        host.auto_remove = Some(true);
        // Its output is read as it comes.
        host.log_config = Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        });
    }
    body
}

/// The signal that asks this software to end: PostgreSQL's fast shutdown is `SIGINT`, its `SIGTERM` waits for clients.
pub(crate) fn stop_signal(software: &Software) -> &'static str {
    match software {
        Software::Postgres { .. } => "SIGINT",
        Software::Redis { .. } | Software::Program => "SIGTERM",
    }
}

fn body(
    command: Vec<String>,
    environment: &BTreeMap<String, String>,
    home: &Path,
    mut mounts: Vec<Mount>,
    around: &Surroundings<'_>,
) -> ContainerCreateBody {
    if let Some(passwd) = around.passwd {
        mounts.push(mount(passwd, Path::new("/etc/passwd"), true));
    }
    let mut variables = BTreeMap::from([
        ("HOME".to_owned(), home.display().to_string()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("PATH".to_owned(), around.image.path.clone()),
        ("TZ".to_owned(), "UTC".to_owned()),
    ]);
    variables.extend(environment.clone());
    let mut words = command.into_iter();
    ContainerCreateBody {
        image: Some(around.image.id.clone()),
        user: Some(format!("{}:{}", around.user.uid, around.user.gid)),
        // Images have entry points of their own, which would prepare a server that is prepared already.
        entrypoint: Some(words.by_ref().take(1).collect()),
        cmd: Some(words.collect()),
        working_dir: Some(home.display().to_string()),
        env: Some(
            variables
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        host_config: Some(HostConfig {
            network_mode: Some("host".to_owned()),
            init: Some(true),
            mounts: Some(mounts),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

fn labels(stack: &str, zone: Option<&ZoneId>) -> HashMap<String, String> {
    let mut labels = HashMap::from([(STACK.to_owned(), stack.to_owned())]);
    if let Some(zone) = zone {
        labels.insert(ZONE.to_owned(), zone.to_string());
    }
    labels
}

fn mount(source: &Path, target: &Path, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.display().to_string()),
        target: Some(target.display().to_string()),
        read_only: Some(read_only),
        ..Mount::default()
    }
}

/// Tells whether a container was made by this plan.
fn plan_hash(plan: &InstancePlan, program: Option<&Path>, around: &Surroundings<'_>) -> String {
    let mut digest = Sha256::new();
    digest.update(BODY_VERSION);
    digest.update(serde_json::to_vec(plan).expect("plans are data"));
    let Surroundings {
        label,
        user,
        image,
        passwd,
        unprivileged_from,
    } = around;
    digest.update(format!(
        "{program:?} {label} {user:?} {} {passwd:?} {unprivileged_from}",
        image.id
    ));
    hex::encode(&digest.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn image(recipe: Option<&str>) -> Image {
        Image {
            reference: "localaws/postgres:15".to_owned(),
            id: "sha256:5".to_owned(),
            version: Some("15.20".to_owned()),
            glibc: Some("2.36".to_owned()),
            size: 1,
            path: "/usr/lib/postgresql/15/bin:/usr/bin".to_owned(),
            command: ["/entry.sh", "node", "server.js"]
                .map(str::to_owned)
                .to_vec(),
            recipe: recipe.map(str::to_owned),
        }
    }

    fn plan(software: Software, port: u16) -> InstancePlan {
        InstancePlan {
            id: "orders-1".into(),
            zone: "ap-northeast-2a".into(),
            software,
            command: ["postgres", "-D", "data"].map(str::to_owned).to_vec(),
            image: None,
            listen: std::net::SocketAddrV4::new(Ipv4Addr::new(127, 64, 241, 4), port),
            directory: "/state/shop/orders-1".into(),
            environment: BTreeMap::from([("PGTZ".to_owned(), "UTC".to_owned())]),
            resolution: Resolution::Nameserver(Ipv4Addr::new(127, 64, 16, 2)),
        }
    }

    fn around(image: &Image) -> Surroundings<'_> {
        Surroundings {
            label: "/state/shop",
            user: User::NOBODY,
            image,
            passwd: None,
            unprivileged_from: 1024,
        }
    }

    /// The body as stable text.
    fn text(body: &ContainerCreateBody) -> String {
        let mut value = serde_json::to_value(body).unwrap();
        value.sort_all_objects();
        serde_json::to_string_pretty(&value).unwrap()
    }

    #[test]
    fn a_database_is_a_container() {
        let image = image(Some("abc"));
        let plan = plan(Software::Postgres { version: Some(15) }, 5432);
        insta::assert_snapshot!(text(&instance(&plan, None, &around(&image))));
    }

    #[test]
    fn an_image_without_a_program_runs_what_it_runs_by_itself() {
        let image = image(None);
        let plan = InstancePlan {
            command: Vec::new(),
            ..plan(Software::Program, 8080)
        };
        let body = instance(&plan, None, &around(&image));
        assert_eq!(body.entrypoint, Some(vec!["/entry.sh".to_owned()]));
        let arguments = ["node", "server.js"].map(str::to_owned).to_vec();
        assert_eq!(body.cmd, Some(arguments));
        assert_eq!(body.working_dir, None);
    }

    #[test]
    fn a_tool_is_a_container() {
        let image = image(Some("abc"));
        let plan = ToolPlan {
            software: Software::Postgres { version: Some(15) },
            zone: None,
            command: ["initdb", "-D", "data"].map(str::to_owned).to_vec(),
            directories: vec!["/cache/golden".into(), "/state/shop/orders-1".into()],
            environment: BTreeMap::new(),
            timeout: std::time::Duration::from_secs(60),
        };
        insta::assert_snapshot!(text(&tool(&plan, &around(&image))));
    }

    #[test]
    fn a_program_is_mounted_and_named_by_its_place_inside() {
        let image = image(Some("abc"));
        let body = instance(
            &plan(Software::Program, 8080),
            Some(Path::new("/home/me/target/shop")),
            &around(&image),
        );
        assert_eq!(
            body.entrypoint,
            Some(vec!["/opt/localaws/postgres".to_owned()])
        );
        let mounts = body.host_config.unwrap().mounts.unwrap();
        let program = mounts
            .iter()
            .find(|mount| mount.source.as_deref() == Some("/home/me/target/shop"))
            .unwrap();
        assert_eq!(
            (program.target.as_deref(), program.read_only),
            (Some("/opt/localaws/postgres"), Some(true))
        );
    }

    #[test]
    fn a_low_port_takes_a_privilege_and_only_that() {
        let check = |recipe, port, user: &str, first: &str, capabilities: usize| {
            let image = image(recipe);
            let body = instance(&plan(Software::Program, port), None, &around(&image));
            assert_eq!(body.user.as_deref(), Some(user));
            assert_eq!(body.entrypoint, Some(vec![first.to_owned()]));
            let host = body.host_config.unwrap();
            assert_eq!(host.cap_add.unwrap().len(), capabilities);
            assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        };
        check(Some("abc"), 8080, "65534:65534", "postgres", 0);
        check(Some("abc"), 80, "0:0", "setpriv", 5);
        check(None, 80, "0:0", "postgres", 2);
        check(None, 1024, "65534:65534", "postgres", 0);
    }

    #[test]
    fn the_hash_tells_plans_images_and_users_apart() {
        let (one, mut other) = (image(None), image(None));
        other.id = "sha256:6".to_owned();
        let hash = |plan: &InstancePlan, around: &Surroundings<'_>| plan_hash(plan, None, around);
        let first = plan(Software::Program, 8080);
        let base = hash(&first, &around(&one));
        assert_eq!(base, hash(&plan(Software::Program, 8080), &around(&one)));
        assert_ne!(base, hash(&plan(Software::Program, 8081), &around(&one)));
        assert_ne!(base, hash(&first, &around(&other)));
        let user = User {
            uid: 1000,
            gid: 1000,
        };
        assert_ne!(
            base,
            hash(
                &first,
                &Surroundings {
                    user,
                    ..around(&one)
                }
            )
        );
    }

    #[test]
    fn names_are_such_as_engines_take() {
        assert_eq!(
            name(&"tier-10k".into(), &"web/1 é".into()),
            "localaws-tier-10k-web-1--"
        );
    }
}
