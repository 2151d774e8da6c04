//! Spark with Iceberg: an environment made from `tests/python/requirements-spark.txt`, with the Java libraries that
//! Spark loads in its folder `jars`.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tools::{self, cached};
use crate::{peers, workspace};

/// Java libraries from Maven Central: group, artifact, version.
const JARS: [(&str, &str, &str); 2] = [
    ("org.apache.iceberg", "iceberg-spark-runtime-4.1_2.13", "1.12.0"),
    ("org.xerial", "sqlite-jdbc", "3.50.3.0"),
];
/// What Spark 4.1 runs on.
const JAVA: u32 = 17;

/// The folder of the environment, made first if it is not there. Fails when it cannot be made, or when there is no
/// Java to run it: the tests with Spark are never left out silently.
pub(crate) fn folder() -> Result<PathBuf> {
    check_java()?;
    let coordinates = JARS.map(|(group, artifact, version)| format!("{group}:{artifact}:{version}"));
    let requirements = workspace::root().join("tests/python/requirements-spark.txt");
    let text = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let mut hasher = DefaultHasher::new();
    (text, &coordinates).hash(&mut hasher);
    cached(&format!("spark-{:016x}", hasher.finish()), |folder| {
        peers::make(folder, &requirements)?;
        match tools::find("mvn") {
            Some(maven) => with_maven(&maven, folder, &coordinates),
            None => with_spark(folder, &coordinates),
        }
    })
}

fn check_java() -> Result<()> {
    let java = match std::env::var_os("JAVA_HOME") {
        Some(home) => Path::new(&home).join("bin").join("java"),
        None => "java".into(),
    };
    let hint = format!("Spark needs Java {JAVA} or later (or leave Spark out with --no-spark)");
    let output = Command::new(&java)
        .arg("-version")
        .output()
        .with_context(|| format!("cannot start {}: {hint}", java.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    match java_version(&text) {
        Some(version) if version >= JAVA => Ok(()),
        Some(version) => bail!("{} is Java {version}: {hint}", java.display()),
        None => bail!("{} does not tell its version: {hint}", java.display()),
    }
}

/// The major version in what `java -version` prints: `… version "17.0.15" …`.
fn java_version(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    match parts.next()? {
        // Up to Java 8: 1.8.0.
        1 => parts.next(),
        major => Some(major),
    }
}

fn with_maven(maven: &Path, folder: &Path, coordinates: &[String]) -> Result<()> {
    let repository = folder.join("maven");
    for coordinate in coordinates {
        tools::run(
            Command::new(maven)
                .args([
                    "--quiet",
                    "--batch-mode",
                    "-Dstyle.color=never",
                    "dependency:get",
                    "-Dtransitive=false",
                ])
                .arg(format!("-Dartifact={coordinate}"))
                .arg(format!("-Dmaven.repo.local={}", repository.display())),
        )?;
    }
    let jars = folder.join("jars");
    fs::create_dir_all(&jars)?;
    for (group, artifact, version) in JARS {
        let name = format!("{artifact}-{version}.jar");
        let at = repository.join(group.replace('.', "/")).join(artifact).join(version).join(&name);
        fs::rename(&at, jars.join(&name)).with_context(|| format!("Maven left no {}", at.display()))?;
    }
    Ok(fs::remove_dir_all(repository)?)
}

/// Without Maven, Spark fetches its libraries itself.
fn with_spark(folder: &Path, coordinates: &[String]) -> Result<()> {
    let ivy = folder.join("ivy");
    let script = "from pyspark.sql import SparkSession; SparkSession.builder.getOrCreate().stop()";
    tools::run(
        Command::new(folder.join("bin").join("python")).args(["-c", script]).env(
            "PYSPARK_SUBMIT_ARGS",
            format!(
                "--master local[1] --conf spark.ui.enabled=false --conf spark.jars.ivy={} --packages {} pyspark-shell",
                ivy.display(),
                coordinates.join(",")
            ),
        ),
    )?;
    let jars = folder.join("jars");
    fs::create_dir_all(&jars)?;
    for (group, artifact, version) in JARS {
        let name = format!("{group}_{artifact}-{version}.jar");
        let at = ivy.join("jars").join(&name);
        fs::rename(&at, jars.join(&name)).with_context(|| format!("Spark left no {}", at.display()))?;
    }
    Ok(fs::remove_dir_all(ivy)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_read_from_what_it_prints() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(java_version("openjdk version \"21\" 2023-09-19 LTS"), Some(21));
        assert_eq!(java_version("java version \"1.8.0_392\""), Some(8));
        assert_eq!(java_version("openjdk version \"26-ea\" 2026-03-17"), Some(26));
        assert_eq!(java_version("not Java"), None);
    }
}
