//! Which of the names that exist was probably meant.

/// The candidate that is fewest edits away from `text`, unless even that one differs in more than a third.
pub(crate) fn nearest<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let limit = text.chars().count().min(64).div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (edits(text, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein's distance over the first 64 characters.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (done, from) in left.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = done + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let check = |text: &str, expected: Option<&str>| {
            let found = nearest(text, ["orders-1", "orders-2", "web-1"]);
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("order-1", Some("orders-1"));
        check("web1", Some("web-1"));
        check("sessions", None);
        check("", None);
        check(&"o".repeat(10_000), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
