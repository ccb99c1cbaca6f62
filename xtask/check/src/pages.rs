// SPDX-License-Identifier: GPL-2.0
//! The text of pages in `docs`: the words and paths in back ticks, which checks hold against the sources.

/// The texts in back ticks in `text`, which are every second piece of it.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The paths in back ticks in `text`: of a folder, if it ends with a `/`.
pub(crate) fn paths(text: &str) -> impl Iterator<Item = &str> {
    quoted(text).filter(|it| is_path(it))
}

/// Whether a quoted text is a path: it has a `/` and no space.
pub(crate) fn is_path(quoted: &str) -> bool {
    quoted.contains('/') && !quoted.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::{paths, quoted};

    #[test]
    fn words_and_paths_stand_in_back_ticks() {
        let text = "See `serve` in `a/x.rs`, of `a/`; run `ls a/`.\n```\na b/c\n```\nAnd `b/y.rs`.";
        let all: Vec<&str> = quoted(text).filter(|it| !it.is_empty()).collect();
        assert_eq!(
            all,
            ["serve", "a/x.rs", "a/", "ls a/", "\na b/c\n", "b/y.rs"]
        );
        assert_eq!(paths(text).collect::<Vec<_>>(), ["a/x.rs", "a/", "b/y.rs"]);
    }
}
