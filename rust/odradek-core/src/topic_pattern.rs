//! Topics by regular expression, as members of consumer groups subscribe (KIP-848).
//!
//! Expressions come from clients, who may be hostile: matching takes time linear in the name, and what an expression
//! compiles to is bounded. The syntax is that of the `regex` crate without Unicode classes, which is RE2's (Kafka uses
//! RE2/J) but for `\p{..}`; topic names are ASCII.

use regex_lite::{Error, RegexBuilder};

/// What an expression may compile to. An alternative of 20 characters takes about 500 bytes.
const SIZE_LIMIT: usize = 64 << 10;

/// Returns those of the names that the expression matches as a whole.
///
/// # Errors
/// The expression can't be read, or is too large.
pub fn matching(expression: &str, mut names: Vec<String>) -> Result<Vec<String>, Error> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(SIZE_LIMIT).build();
    build(expression)?; // on its own first: `a)|(b` makes sense only inside the parentheses below
    let whole = build(&format!("\\A(?:{expression})\\z"))?;
    names.retain(|name| whole.is_match(name));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_expression_has_to_match_the_whole_name() {
        let found = matching("a|ab|b.*", names(&["a", "ab", "abc", "b", "b-1", "cb"])).expect("a pattern");
        assert_eq!(found, ["a", "ab", "b", "b-1"]);
    }

    #[test]
    fn what_makes_no_sense_on_its_own_is_refused() {
        for bad in ["(", "a)|(b", "*", "[", "a{1000000}", "(?=a)", r"(a)\1"] {
            assert!(matching(bad, names(&["a"])).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_expression_that_makes_backtrackers_explode_is_answered_at_once() {
        let begun = Instant::now();
        assert!(matching("(a+)+b", names(&[&"a".repeat(249)])).expect("a pattern").is_empty());
        assert!(begun.elapsed() < Duration::from_secs(60)); // a backtracker would take longer than the universe has had
    }
}
