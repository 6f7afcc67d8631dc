//! Words that people who know AWS write by themselves, and what becomes of them here.

/// What becomes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// AWS has it; nothing here depends on it.
    NoEffect,
    /// It is another field here.
    Called(&'static str),
}

/// Parameters of EC2, RDS, ElastiCache and Elastic Load Balancing that change nothing in an emulated stack.
const NO_EFFECT: [&str; 45] = [
    "allocated-storage",
    "ami",
    "ami-id",
    "auto-minor-version-upgrade",
    "backup-retention-period",
    "cache-node-type",
    "cache-parameter-group-name",
    "cache-subnet-group-name",
    "cidr-block",
    "db-instance-class",
    "db-parameter-group-name",
    "db-subnet-group-name",
    "deletion-protection",
    "dns-name",
    "iam-instance-profile",
    "iam-role",
    "image-id",
    "instance-class",
    "instance-type",
    "internal",
    "iops",
    "ip-address-type",
    "key-name",
    "key-pair",
    "kms-key-id",
    "license-model",
    "max-allocated-storage",
    "node-type",
    "performance-insights-enabled",
    "preferred-backup-window",
    "preferred-maintenance-window",
    "publicly-accessible",
    "scheme",
    "security-group-ids",
    "security-groups",
    "storage-encrypted",
    "storage-type",
    "subnet",
    "subnet-id",
    "subnet-ids",
    "subnets",
    "tags",
    "user-data",
    "vpc",
    "vpc-id",
];

/// Words of AWS or of neighbouring tools, and the fields that they mean, the likeliest first.
const CALLED: [(&str, &str); 30] = [
    ("actions", "action"),
    ("at-rest-auth-token", "auth-token"),
    ("az", "availability-zone"),
    ("azs", "availability-zones"),
    ("cache-clusters", "num-cache-clusters"),
    ("command", "program"),
    ("database", "db-name"),
    ("database-name", "db-name"),
    ("databases", "db-instances"),
    ("default-actions", "default-action"),
    ("desired-capacity", "count"),
    ("domain-name", "fully-qualified-domain-name"),
    ("env", "environment"),
    ("failover-type", "failover"),
    ("host", "fully-qualified-domain-name"),
    ("multi-az", "multi-az-enabled"),
    ("node-count", "num-cache-clusters"),
    ("num-nodes", "num-cache-clusters"),
    ("password", "master-user-password"),
    ("protocol", "type"),
    ("rds", "db-instances"),
    ("replicas", "read-replicas"),
    ("replicas", "num-cache-clusters"),
    ("resource-records", "values"),
    ("services", "instances"),
    ("set-id", "set-identifier"),
    ("user", "master-username"),
    ("username", "master-username"),
    ("value", "values"),
    ("zones", "availability-zones"),
];

/// What becomes of `written` where the fields `known` may stand. Letter case, hyphens and underscores do not matter.
pub(super) fn word(written: &str, known: &[&str]) -> Option<Word> {
    let called = CALLED
        .iter()
        .find(|(word, here)| same(written, word) && known.contains(here));
    if let Some((_, here)) = called {
        return Some(Word::Called(here));
    }
    NO_EFFECT
        .iter()
        .any(|word| same(written, word))
        .then_some(Word::NoEffect)
}

fn same(written: &str, word: &str) -> bool {
    let letters = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|c| c.to_ascii_lowercase()).collect()
    };
    letters(written) == letters(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_aws_are_recognized_however_they_are_written() {
        let db = ["master-username", "multi-az", "port"];
        let cases = [
            ("instance-class", Some(Word::NoEffect)),
            ("InstanceClass", Some(Word::NoEffect)),
            ("allocated_storage", Some(Word::NoEffect)),
            ("username", Some(Word::Called("master-username"))),
            ("cache-clusters", None),
            ("colour", None),
        ];
        for (written, expected) in cases {
            assert_eq!(word(written, &db), expected, "{written}");
        }
        let group = ["num-cache-clusters"];
        let meant = Some(Word::Called("num-cache-clusters"));
        assert_eq!(word("CacheClusters", &group), meant);
        assert_eq!(word("replicas", &group), meant);
    }
}
