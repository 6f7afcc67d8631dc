//! How much of each service's API is built: what `localaws api coverage` and `docs/api-coverage.md` tell, from the tables themselves.

use std::fmt::Write as _;

use wire::Catalog;

use super::services;

/// What is built of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The name of its model: `elbv2`.
    pub service: String,
    /// AWS's name of it: `Elastic Load Balancing v2`.
    pub name: String,
    /// How many operations its model has.
    pub operations: usize,
    /// Those that are built, sorted.
    pub built: Vec<String>,
}

/// Of every service whose model is there, sorted by the model's name. Loads every model.
pub fn coverage() -> Vec<Coverage> {
    let services = Catalog::standard().services().map(|service| {
        let built = |name: &&str| services::handler(service.name(), name).is_some();
        Coverage {
            service: service.name().to_owned(),
            name: service.id().to_owned(),
            operations: service.operations().len(),
            built: service
                .operations()
                .filter(built)
                .map(str::to_owned)
                .collect(),
        }
    });
    services.collect()
}

/// The whole page that `docs/api-coverage.md` is.
pub fn markdown() -> String {
    let coverage = coverage();
    let mut text = "# AWS API coverage\n\n\
        What is not built is answered `NotImplemented` by its name, after it was read and checked as AWS does. Written by\n\
        `localaws api coverage --markdown`.\n\n\
        | service | built | of |\n| --- | ---: | ---: |\n"
        .to_owned();
    for it in &coverage {
        let (name, built, all) = (&it.name, it.built.len(), it.operations);
        writeln!(text, "| {name} (`{}`) | {built} | {all} |", it.service).expect("it is memory");
    }
    for it in coverage.iter().filter(|it| !it.built.is_empty()) {
        writeln!(text, "\n## {}\n", it.name).expect("it is memory");
        for operation in &it.built {
            writeln!(text, "- {operation}").expect("it is memory");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_what_is_built() {
        let page = include_str!("../../../docs/api-coverage.md");
        let page_is_stale = "run `localaws api coverage --markdown > docs/api-coverage.md`";
        assert!(page == markdown(), "{page_is_stale}");
    }

    #[test]
    fn everything_in_the_tables_is_counted() {
        let built: usize = coverage().iter().map(|it| it.built.len()).sum();
        let tables = services::SERVICES.iter();
        assert_eq!(built, tables.map(|(_, table)| table.len()).sum::<usize>());
    }
}
