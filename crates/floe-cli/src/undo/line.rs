//! A command line that a shell takes as it is printed.

use floe::text::is_unseen;

/// A command of floe with its arguments. Rendered, words are quoted for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    command: &'static str,
    names: Vec<String>,
    options: Vec<(&'static str, Option<String>)>,
}

impl Line {
    /// `floe COMMAND`; the command may have two words.
    pub(crate) fn new(command: &'static str) -> Self {
        Self { command, names: Vec::new(), options: Vec::new() }
    }

    /// Adds an argument that stands by itself.
    pub(crate) fn name(mut self, name: impl ToString) -> Self {
        self.names.push(name.to_string());
        self
    }

    /// Adds `--OPTION VALUE`.
    pub(crate) fn option(mut self, option: &'static str, value: impl ToString) -> Self {
        self.options.push((option, Some(value.to_string())));
        self
    }

    /// Adds `--OPTION VALUE` where there is a value.
    pub(crate) fn maybe(self, option: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.option(option, value),
            None => self,
        }
    }

    /// Adds `--OPTION`.
    pub(crate) fn flag(mut self, option: &'static str) -> Self {
        self.options.push((option, None));
        self
    }

    /// The words as the program gets them, without those that choose the catalog.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.command.split(' ').map(str::to_owned).collect();
        // A name that begins with a hyphen would be read as an option.
        let last = self.names.iter().any(|name| name.starts_with('-'));
        if !last {
            words.extend(self.names.iter().cloned());
        }
        for (option, value) in &self.options {
            match value {
                Some(value) if value.starts_with('-') => words.push(format!("--{option}={value}")),
                Some(value) => words.extend([format!("--{option}"), value.clone()]),
                None => words.push(format!("--{option}")),
            }
        }
        if last {
            words.push("--".to_owned());
            words.extend(self.names.iter().cloned());
        }
        words
    }

    /// The line, with `catalog` as the options that choose the catalog, which begin with a space or are empty.
    pub(crate) fn render(&self, catalog: &str) -> String {
        let words: Vec<String> = self.words().iter().map(|word| quoted(word)).collect();
        format!("floe{catalog} {}", words.join(" "))
    }

    /// Whether it is one line that can be read: no word has a line break or another control character.
    pub(crate) fn is_printable(&self) -> bool {
        self.words().iter().all(|word| !word.contains(is_unseen))
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@=".contains(c);
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        for word in ["a.b", "--set", "k=v", "s3://b/t", "id:7", "1,2"] {
            assert_eq!(quoted(word), word);
        }
        for (word, shown) in [
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$x", "'$x'"),
            ("=x", "'=x'"),
            ("*", "'*'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }

    #[test]
    fn names_and_values_that_begin_with_a_hyphen_are_no_options() {
        let line = Line::new("tag").name("a.t").name("-x").option("at", -5).flag("replace");
        assert_eq!(line.render(" --catalog c"), "floe --catalog c tag --at=-5 --replace -- a.t -x");
        let plain = Line::new("namespace drop").name("a").maybe("branch", None::<&str>);
        assert_eq!(plain.render(""), "floe namespace drop a");
        assert!(plain.is_printable() && !Line::new("tag").name("a\nb").is_printable());
    }
}
