//! Values of a configuration for people: without what may be a secret.

/// Schemes of storages: what stands before their `@` is a part of a key, or the container of Azure.
const STORAGES: &[&str] =
    &["s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "wasb", "wasbs", "file", "sqlite", "hdfs"];
/// Words with `=` behind them that name a secret.
const SECRETS: &[&str] = &["pass", "pwd", "secret", "token", "key", "sig", "credential"];
/// What is shown in the place of something that may be one.
const HIDDEN: &str = "***";

/// A URI without user name, password and query, any of which may hold a secret. Where it is not certain what is which,
/// for want of encoding for instance, no more is shown than the scheme.
pub(super) fn without_credentials(value: &str) -> String {
    let shown = match value.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", place(scheme, rest).as_deref().unwrap_or(HIDDEN)),
        // A path, a name, or an address that was not written as one.
        None if value.contains('@') && value.contains(':') => HIDDEN.to_owned(),
        None => value.split('?').next().unwrap_or_default().to_owned(),
    };
    if names_a_secret(&shown) { HIDDEN.to_owned() } else { shown }
}

/// Host and path; `None` where a part of a password may be among them.
fn place(scheme: &str, rest: &str) -> Option<String> {
    let storage =
        STORAGES.contains(&scheme.split('+').next().unwrap_or_default().to_ascii_lowercase().as_str());
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let azure = ["abfs", "abfss", "wasb", "wasbs"].contains(&scheme.to_ascii_lowercase().as_str());
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    // A password with a mark in it that was not encoded goes on behind it.
    if tail.contains('@') && (!storage || authority.contains(':')) {
        return None;
    }
    if host.contains('%') && !host.to_ascii_lowercase().starts_with("%2f") {
        return None;
    }
    // `[::1]:5432`, `host:5432`: what stands behind the last colon is a port, or no one knows what.
    let port = host.rsplit_once(':').filter(|_| !host.ends_with(']')).map(|(_, port)| port);
    if port.is_some_and(|port| !port.chars().all(|c| c.is_ascii_digit())) {
        return None;
    }
    let container = (azure && !user.is_empty() && !user.contains([':', '@'])).then(|| format!("{user}@"));
    let path = tail.split(['?', '#']).next().unwrap_or_default();
    let path = if storage { tail.split('?').next().unwrap_or_default() } else { path };
    Some(format!("{}{host}{path}", container.unwrap_or_default()))
}

/// Whether a text sets something that is called as secrets are.
fn names_a_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.match_indices('=').any(|(at, _)| {
        let name = text[..at].trim_end();
        let name =
            name.rsplit(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').next().unwrap_or_default();
        SECRETS.iter().any(|word| name.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credentials_in_uris_are_not_shown() {
        for (given, shown) in [
            ("postgres://ann:hunter2@host:5432/db?sslkey=hunter2", "postgres://host:5432/db"),
            ("https://user:p@ss@host", "https://host"),
            ("s3://bucket/lake", "s3://bucket/lake"),
            ("s3://bucket/a@b/c#d", "s3://bucket/a@b/c#d"),
            (
                "abfss://container@account.dfs.core.windows.net/lake",
                "abfss://container@account.dfs.core.windows.net/lake",
            ),
            ("abfss://u:hunter2@account/lake", "abfss://account/lake"),
            ("/data/lake", "/data/lake"),
            ("/data/year=2024/a@b", "/data/year=2024/a@b"),
            ("sqlite:////var/lib/lake/catalog.db", "sqlite:////var/lib/lake/catalog.db"),
            ("https://host/c?token=hunter2", "https://host/c"),
            ("https://[::1]:8181/api", "https://[::1]:8181/api"),
            ("https://host:8181/api", "https://host:8181/api"),
            ("postgresql://ann@%2Frun%2Fpostgresql/lake", "postgresql://%2Frun%2Fpostgresql/lake"),
            ("postgresql://ann:hun/ter2@host/db", "postgresql://***"),
            ("postgresql://ann:hun?ter2@host/db", "postgresql://***"),
            ("postgresql://ann:hun#ter2@host/db", "postgresql://***"),
            ("postgresql://ann:12/ter2@host/db", "postgresql://***"),
            ("postgresql://ann:hunter2", "postgresql://***"),
            ("postgresql://ann:hunter2%40host/db", "postgresql://***"),
            ("postgresql:ann:hunter2@host/db", "***"),
            ("host=db user=ann password=hunter2", "***"),
            ("https://host/c;password=hunter2", "***"),
            ("jdbc:postgresql://host/db?password=hunter2", "jdbc:postgresql://host/db"),
        ] {
            assert_eq!(without_credentials(given), shown, "{given}");
        }
    }

    proptest! {
        /// Passwords in every place where people put them, encoded or not.
        #[test]
        fn no_piece_of_a_password_is_shown(
            pieces in prop::collection::vec(
                ("Qz[0-9]{5}Xw", "[:@%?#/&; =\\\\]|%40|%3A|%2F|\\?password=|&passfile=|;pwd="), 0..4),
            last in "Qz[0-9]{5}Xw",
            scheme in "(postgres|postgresql|POSTGRESQL|postgresql\\+psycopg2|https|http)",
            form in 0..7_usize,
        ) {
            let mut password: String = pieces.iter().flat_map(|(piece, mark)| [piece.as_str(), mark]).collect();
            password.push_str(&last);
            let value = match form {
                0 => format!("{scheme}://ann:{password}@db.example:5432/lake"),
                1 => format!("{scheme}://db.example/lake?password={password}"),
                2 => format!("{scheme}://ann:{password}@db.example/lake?passfile={password}"),
                3 => format!("{scheme}:ann:{password}@db.example/lake"),
                4 => format!("{scheme}://{password}@db.example/lake"),
                5 => format!("host=db.example user=ann password={password}"),
                _ => format!("jdbc:{scheme}://db.example/lake?user=ann&password={password}"),
            };
            let shown = without_credentials(&value);
            for piece in pieces.iter().map(|(piece, _)| piece).chain([&last]) {
                prop_assert!(!shown.contains(piece.as_str()), "{value}: {shown}");
            }
        }
    }
}
