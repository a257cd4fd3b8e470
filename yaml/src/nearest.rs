//! What a misspelt name most likely meant: one answer for settings, manifests, rules, filters and commands.

/// Fewest letters of a name that a longer or shorter word may begin with.
const SHORTEST_BEGINNING: usize = 3;

/// The known name nearest to `word`, without regard to case, when one is near enough: one letter wrong, and one more for
/// every four letters of the longer name; or one is the beginning of the other («warning» for `warn`). A guess farther
/// off misleads more than the list of all names.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .filter_map(|name| Some((distance(&word, &name.to_lowercase())?, name)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters differ, when the names are near.
fn distance(word: &str, name: &str) -> Option<usize> {
    let lengths = [word, name].map(|name| name.chars().count());
    let (shorter, longer) = (lengths[0].min(lengths[1]), lengths[0].max(lengths[1]));
    let begins = shorter >= SHORTEST_BEGINNING && (word.starts_with(name) || name.starts_with(word));
    let distance = strsim::damerau_levenshtein(word, name);
    (begins || distance <= 1 + longer / 4).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_when_near() {
        let known = ["channel", "connector", "kind"];
        assert_eq!(nearest("chanel", known), Some("channel"));
        assert_eq!(nearest("CHANNLE", known), Some("channel"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("ksdn", ["kind"]), Some("kind"));
        assert_eq!(nearest("warning", ["error", "warn", "info"]), Some("warn"));
        assert_eq!(nearest("x", std::iter::empty()), None);
    }
}
