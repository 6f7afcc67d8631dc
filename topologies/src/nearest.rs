//! Which of the names that exist was probably meant.

/// The most names among which a misspelt one is sought.
const CANDIDATES_MAX: usize = 100;

/// The candidate that `word` is a misspelling of, if one is near. `multi_az`, `MultiAZ` and `multiaz` are near `multi-az`.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let bare = |text: &str| -> Vec<char> {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).take(64).collect()
    };
    // Among very many names a guess costs more than it helps.
    if candidates.len() > CANDIDATES_MAX {
        return None;
    }
    let word = bare(word);
    let (distance, near) = candidates
        .iter()
        .map(|candidate| (distance(&word, &bare(candidate)), *candidate))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= word.len() / 3).then_some(near)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let above = &rows[i - 1];
            let replaced = above[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_meant() {
        let fields = ["multi-az", "master-username", "port", "read-replicas"];
        for (written, meant) in [
            ("multi_az", Some("multi-az")),
            ("MultiAZ", Some("multi-az")),
            ("MasterUsername", Some("master-username")),
            ("prot", Some("port")),
            ("read-replica", Some("read-replicas")),
            ("color", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, &fields), meant, "{written}");
        }
    }
}
