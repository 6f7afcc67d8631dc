//! A stack's passwords: generated once, kept in a file that only its owner reads.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use topologies::id::DbInstanceId;
use topologies::topology::Topology;

use crate::engines::secrets::{DbSecrets, Secret};

/// Where they are kept, in the stack's directory.
const FILE: &str = "secrets.json";

/// A stack's passwords.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Secrets {
    /// Those of DB instances; read replicas have those of the DB instance they belong to.
    pub databases: BTreeMap<DbInstanceId, DbSecrets>,
    /// Master passwords that the topology gave and that were taken over: what was set since is not undone by them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    taken: BTreeMap<DbInstanceId, Secret>,
}

impl Secrets {
    /// Those in the stack's directory, completed by new ones for what the topology has and the file has not.
    ///
    /// # Errors
    /// When the file can not be read or written, or the operating system gives no random numbers.
    pub fn open(directory: &Path, topology: &Topology) -> io::Result<Self> {
        let path = directory.join(FILE);
        let mut secrets = Self::read(&path)?;
        let mut rng = rng()?;
        let before = secrets.clone();
        for db in &topology.db_instances {
            let given = db.master_user_password.as_deref();
            let known = secrets.databases.entry(db.id.clone());
            let known = known.or_insert_with(|| DbSecrets::generate(&mut rng, given));
            if let Some(given) = given.map(Secret::new)
                && secrets.taken.get(&db.id) != Some(&given)
            {
                known.master = given.clone();
                secrets.taken.insert(db.id.clone(), given);
            }
        }
        // One of the same name that is made again has the password that the topology gives.
        let there = |id: &DbInstanceId| topology.db_instances.iter().any(|db| db.id == *id);
        secrets.taken.retain(|id, _| there(id));
        if secrets != before {
            secrets.save(&path)?;
        }
        Ok(secrets)
    }

    /// Keeps a master password for a DB instance. Its other passwords are made anew if it has none yet.
    ///
    /// # Errors
    /// When the file can not be read or written, or the operating system gives no random numbers.
    pub fn keep(directory: &Path, db: &DbInstanceId, master: &str) -> io::Result<()> {
        let path = directory.join(FILE);
        let mut secrets = Self::read(&path)?;
        let passwords = DbSecrets::generate(&mut rng()?, Some(master));
        let known = secrets.databases.entry(db.clone()).or_insert(passwords);
        known.master = Secret::new(master);
        secrets.save(&path)
    }

    /// Keeps for a DB instance the passwords that another has: its data know no others.
    ///
    /// # Errors
    /// When the file can not be read or written.
    pub fn inherit(directory: &Path, db: &DbInstanceId, from: &DbInstanceId) -> io::Result<()> {
        let path = directory.join(FILE);
        let mut secrets = Self::read(&path)?;
        let known = secrets.databases.get(from).cloned();
        let passwords = known.ok_or(io::ErrorKind::NotFound)?;
        secrets.databases.insert(db.clone(), passwords);
        secrets.save(&path)
    }

    fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(cause) => Err(cause),
        }
    }

    /// What an application's environment is made with.
    pub fn for_environment(&self) -> topologies::plan::Secrets {
        let masters = self
            .databases
            .iter()
            .map(|(db, secrets)| (db.clone(), secrets.master.expose().to_owned()));
        topologies::plan::Secrets {
            master_passwords: masters.collect(),
        }
    }

    fn save(&self, path: &Path) -> io::Result<()> {
        let unfinished = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(unfinished, path)
    }
}

fn rng() -> io::Result<ChaCha20Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(ChaCha20Rng::from_seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(password: &str) -> Topology {
        let text = format!(
            "name: t\nregion: eu-west-1\navailability-zones: [a, b]\n\
             db-instances: {{ orders: {{ engine: postgres, {password} }} }}\n"
        );
        let (topology, notes) = topologies::check::check(&text, "t.yaml");
        topology.unwrap_or_else(|| panic!("{notes:?}"))
    }

    fn master(secrets: &Secrets, db: &str) -> String {
        secrets.databases[&DbInstanceId::from(db)]
            .master
            .expose()
            .to_owned()
    }

    #[test]
    fn a_password_that_was_set_later_outlives_the_one_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let given = topology("master-user-password: first-of-all");
        let orders = DbInstanceId::from("orders");
        let before = Secrets::open(directory, &given).unwrap();
        assert_eq!(master(&before, "orders"), "first-of-all");
        Secrets::keep(directory, &orders, "set-by-a-call").unwrap();
        let after = Secrets::open(directory, &given).unwrap();
        assert_eq!(master(&after, "orders"), "set-by-a-call");
        assert_eq!(
            after.databases[&orders].admin,
            before.databases[&orders].admin
        );
        // Another file is another wish.
        let other = topology("master-user-password: another-one");
        let told = Secrets::open(directory, &other).unwrap();
        assert_eq!(master(&told, "orders"), "another-one");
    }

    #[test]
    fn a_replica_that_is_promoted_has_the_passwords_of_its_source() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let before = Secrets::open(directory, &topology("multi-az: true")).unwrap();
        let (orders, own) = (DbInstanceId::from("orders"), DbInstanceId::from("own"));
        Secrets::inherit(directory, &own, &orders).unwrap();
        let after = Secrets::open(directory, &topology("multi-az: true")).unwrap();
        assert_eq!(after.databases[&own], before.databases[&orders]);
        assert!(Secrets::inherit(directory, &own, &"nobody".into()).is_err());
    }

    #[test]
    fn a_db_instance_that_is_made_again_has_the_password_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let given = topology("master-user-password: first-of-all");
        let mut without = given.clone();
        without.db_instances.clear();
        Secrets::open(directory, &given).unwrap();
        Secrets::keep(directory, &"orders".into(), "set-by-a-call").unwrap();
        Secrets::open(directory, &without).unwrap();
        let again = Secrets::open(directory, &given).unwrap();
        assert_eq!(master(&again, "orders"), "first-of-all");
    }
}
