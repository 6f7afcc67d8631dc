//! Where in a value something is: written as AWS's frameworks write it (`tags.1.member.key`) or as a form's key (`Tags.member.1.Key`).

use crate::model::Field;

/// One step down into a value.
#[derive(Clone)]
pub(crate) enum Step<'m> {
    Member(Field<'m>),
    /// An element of a list, counted from one, and whether the list is flattened in forms.
    Element(Field<'m>, usize, bool),
    Key(String),
}

/// The way to a value from the input's root.
#[derive(Clone, Default)]
pub struct Path<'m>(Vec<Step<'m>>);

impl<'m> Path<'m> {
    pub(crate) fn push(&mut self, step: Step<'m>) {
        self.0.push(step);
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    pub(crate) fn depth(&self) -> usize {
        self.0.len()
    }

    /// `launchTemplate.tags.1.member.key`: members with a small first letter.
    pub fn coral(&self) -> String {
        self.join(|step| match step {
            Step::Member(field) => uncapitalised(field.name()),
            Step::Element(_, index, _) => format!("{index}.member"),
            Step::Key(key) => format!("{key}.member"),
        })
    }

    /// `LaunchTemplate.Tags.member.1.Key`: the key that a form has, or would have.
    pub fn query(&self, ec2: bool) -> String {
        self.join(|step| match step {
            Step::Member(field) => field.query().to_owned(),
            Step::Element(_, index, flattened) if ec2 || *flattened => index.to_string(),
            Step::Element(element, index, _) => format!("{}.{index}", element.wire()),
            Step::Key(key) => key.clone(),
        })
    }

    fn join(&self, part: impl Fn(&Step<'m>) -> String) -> String {
        self.0.iter().map(part).collect::<Vec<_>>().join(".")
    }
}

impl std::fmt::Debug for Path<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.coral())
    }
}

impl PartialEq for Path<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.coral() == other.coral()
    }
}

fn uncapitalised(name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}
