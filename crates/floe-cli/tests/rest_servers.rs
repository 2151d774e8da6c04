//! Commands before catalogs' servers that answer oddly, or as a real Polaris does.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use floe::metadata_file;
use floe_testkit::http::{Answer, HttpServer, Reply, Request};
use iceberg::TableCreation;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use serde_json::{Value, json};
use support::Floe;
use tokio::runtime::Runtime;

/// A server beside the command, and a configuration that names it `r`.
struct Beside {
    floe: Floe,
    server: HttpServer,
    _runtime: Runtime,
}

impl Beside {
    fn new(handler: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::with("", handler)
    }

    /// `extra` are further lines of the configuration.
    fn with(extra: &str, handler: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let handler = Arc::new(handler);
        let server = runtime.block_on(HttpServer::start(move |request| {
            let handler = handler.clone();
            async move {
                let config = || Reply::json(200, &json!({"defaults": {}, "overrides": {}}));
                let absent = || Reply::iceberg_error(404, "NoSuchTableException", "not there");
                Answer::from(match handler(&request) {
                    Some(reply) => reply,
                    None if request.path() == "/v1/config" => config(),
                    None => absent(),
                })
            }
        }));
        let floe = Floe::new();
        let uri = server.uri();
        floe.file(
            "floe.toml",
            format!("default-catalog = 'r'\n[catalogs.r]\ntype = 'rest'\nuri = '{uri}'\n{extra}"),
        );
        Self { floe, server, _runtime: runtime }
    }

    fn error(&self, words: &[&str]) -> (i32, Value) {
        let mut words = words.to_vec();
        words.push("--json");
        let run = self.floe.run(&words);
        let line = run.stderr.lines().last().unwrap_or_default().to_owned();
        (
            run.code,
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {} {}", run.text(), run.stderr)),
        )
    }
}

fn table(location: &str) -> Reply {
    let fields = vec![NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into()];
    let schema = Schema::builder().with_fields(fields).build().unwrap();
    let creation =
        TableCreation::builder().name("t".into()).schema(schema).location(location.to_owned()).build();
    let metadata = metadata_file::create(creation).unwrap();
    let at = format!("{location}/metadata/00000-a.metadata.json");
    Reply::json(200, &json!({"metadata-location": at, "metadata": metadata}))
}

fn namespaces(names: &[&[&str]]) -> Reply {
    Reply::json(200, &json!({"namespaces": names}))
}

fn forbidden(message: &str) -> Reply {
    Reply::iceberg_error(403, "ForbiddenException", message)
}

/// One table `t` in each namespace.
fn one_table(request: &Request) -> Option<Reply> {
    let name = request.path().strip_prefix("/v1/namespaces/")?.strip_suffix("/tables")?;
    let levels: Vec<&str> = name.split("%1F").collect();
    Some(Reply::json(200, &json!({"identifiers": [{"namespace": levels, "name": "t"}]})))
}

#[test]
fn a_list_ends_and_shows_each_table_once_whatever_the_server_does_with_the_parent() {
    type Tree = fn(&str) -> Option<Reply>;
    let cases: [(&str, Tree, &[&str], &[&str]); 6] = [
        ("ignores the parent", |_| Some(namespaces(&[&["a"], &["b"]])), &["a.t", "b.t"], &[]),
        (
            "cousins",
            |parent| match parent {
                "" => Some(namespaces(&[&["ex"], &["ex_two"]])),
                "ex" | "ex_two" => Some(namespaces(&[&["ex", "two"]])),
                _ => Some(namespaces(&[])),
            },
            &["ex.t", "ex.two.t", "ex_two.t"],
            &[],
        ),
        (
            "grandchildren",
            |parent| match parent {
                "" => Some(namespaces(&[&["a"], &["a", "x"]])),
                "a" => Some(namespaces(&[&["a", "x"]])),
                _ => Some(namespaces(&[])),
            },
            &["a.t", "a.x.t"],
            &[],
        ),
        (
            "gone meanwhile",
            |parent| match parent {
                "" => Some(namespaces(&[&["a"], &["b"]])),
                "a" => Some(Reply::iceberg_error(404, "NoSuchNamespaceException", "gone")),
                _ => Some(namespaces(&[])),
            },
            &["b.t"],
            &["a no_such_namespace"],
        ),
        (
            "one is closed",
            |parent| match parent {
                "" => Some(namespaces(&[&["a"], &["b"]])),
                "a" => Some(forbidden("no")),
                _ => Some(namespaces(&[])),
            },
            &["a.t", "b.t"],
            &["a permission_denied"],
        ),
        (
            "the parent comes back as its child",
            |parent| match parent {
                "" => Some(namespaces(&[&["a"]])),
                _ => Some(namespaces(&[&["a"], &["a", "a"], &["a"]])),
            },
            &["a.t", "a.a.t"],
            &[],
        ),
    ];
    for (case, tree, expected, skipped) in cases {
        let beside = Beside::new(move |r| match r.path() {
            "/v1/namespaces" => tree(&r.query("parent").unwrap_or_default().replace("%1F", "/")),
            _ => one_table(r),
        });
        let report = beside.floe.line("list --json").ok().json();
        assert_eq!(report["tables"], json!(expected), "{case}");
        let told: Vec<String> = report["skipped"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| format!("{} {}", s["namespace"].as_str().unwrap(), s["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(told, skipped, "{case}");
        let text = beside.floe.line("list").ok().text();
        assert_eq!(text.contains("Note:"), !skipped.is_empty(), "{case}: {text}");
    }
}

#[test]
fn deeper_and_deeper_namespaces_end_with_an_error() {
    let beside = Beside::new(|r| match r.path() {
        "/v1/namespaces" => {
            let parent = r.query("parent").unwrap_or_default().to_owned();
            let mut levels: Vec<&str> = parent.split("%1F").filter(|l| !l.is_empty()).collect();
            levels.push("a");
            Some(namespaces(&[&levels]))
        }
        _ => one_table(r),
    });
    let (code, error) = beside.error(&["list"]);
    assert_eq!((code, error["kind"].as_str()), (9, Some("unsupported")), "{error}");
}

#[test]
fn names_with_dots_are_listed_as_they_are_addressed() {
    let beside = Beside::new(|r| match (r.path(), r.query("parent")) {
        ("/v1/namespaces", None) => Some(namespaces(&[&["web.v1"], &["plain"]])),
        ("/v1/namespaces", _) => Some(namespaces(&[])),
        ("/v1/namespaces/web.v1/tables", _) => Some(Reply::json(
            200,
            &json!({"identifiers": [{"namespace": ["web.v1"], "name": "a.b"}, {"namespace": ["web.v1"], "name": "say \"hi\""}]}),
        )),
        ("/v1/namespaces/plain/tables", _) => Some(Reply::json(200, &json!({"identifiers": []}))),
        ("/v1/namespaces/web.v1/tables/a.b", _) => Some(table("file:///tmp/lake/a.b")),
        ("/v1/namespaces/web.v1/tables/say%20%22hi%22", _) => Some(table("file:///tmp/lake/hi")),
        _ => None,
    });
    let report = beside.floe.line("list --json").ok().json();
    assert_eq!(report["namespaces"], json!(["plain", "\"web.v1\""]));
    assert_eq!(report["namespace_levels"], json!([["plain"], ["web.v1"]]));
    assert_eq!(report["identifiers"][0], json!({"namespace": ["web.v1"], "name": "a.b"}));
    for name in report["tables"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let described = beside.floe.run(&["describe", name, "--json"]).ok().json();
        assert_eq!(described["table"], name, "each listed name can be addressed");
        assert_eq!(described["identifier"]["namespace"], json!(["web.v1"]));
    }
    let backticks = beside.floe.run(&["describe", "`web.v1`.`a.b`", "--json"]).ok().json();
    assert_eq!(backticks["table"], "\"web.v1\".\"a.b\"");
    assert_eq!(
        beside.floe.run(&["list", "\"web.v1\"", "--json"]).ok().json()["tables"].as_array().unwrap().len(),
        2
    );
    let text = beside.floe.line("list").ok().text();
    assert!(text.contains("\"web.v1\"") && text.contains("\"a.b\""), "{text}");
    let (code, error) = beside.error(&["describe", "web.v1.a.b"]);
    assert_eq!((code, error["kind"].as_str()), (3, Some("no_such_table")), "{error}");
    assert_eq!(error["identifier"], json!({"namespace": ["web", "v1", "a"], "name": "b"}));
}

#[test]
fn if_not_exists_is_advised_where_it_helps_and_says_so_beside_a_view() {
    let beside = Beside::new(|r| match (r.method.as_str(), r.path()) {
        (_, "/v1/namespaces/ns") => Some(Reply::json(200, &json!({"namespace": ["ns"]}))),
        ("POST", "/v1/namespaces/ns/tables") => {
            let asked: Value = serde_json::from_slice(&r.body).unwrap();
            Some(match asked["name"].as_str().unwrap() {
                "view" => Reply::iceberg_error(
                    409,
                    "AlreadyExistsException",
                    "View with same name already exists: ns.view",
                ),
                "taken" => {
                    Reply::iceberg_error(409, "AlreadyExistsException", "Table already exists: ns.taken")
                }
                _ => Reply::iceberg_error(400, "BadRequestException", "the server wants no such column"),
            })
        }
        ("GET" | "HEAD", "/v1/namespaces/ns/tables/taken") => Some(table("file:///tmp/lake/taken")),
        _ => None,
    });
    beside.floe.file("schema.json", support::SCHEMA);
    let create = |name: &str, more: &[&str]| {
        let mut words = vec!["create", name, "--schema", "schema.json"];
        words.extend(more);
        beside.error(&words)
    };
    let (code, error) = create("ns.taken", &[]);
    assert_eq!(code, 4, "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--if-not-exists"), "{error}");
    let (code, error) = create("ns.bad", &[]);
    assert_eq!(code, 2, "{error}");
    assert!(error["message"].as_str().unwrap().contains("no such column"), "{error}");
    assert!(!error.to_string().contains("--if-not-exists"), "{error}");
    let (code, error) = create("ns.view", &["--if-not-exists"]);
    assert_eq!(code, 4, "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("no table, such as a view") && message.contains("View with same name"),
        "{error}"
    );
    assert!(!error["hint"].as_str().unwrap().contains("--if-not-exists"), "{error}");
    let words = ["create", "ns.taken", "--schema", "schema.json", "--if-not-exists", "--json"];
    assert_eq!(beside.floe.run(&words).ok().json()["created"], false);
}

#[test]
fn a_principal_with_one_namespace_is_told_how_to_check_it() {
    let beside = Beside::new(|r| match r.path() {
        "/v1/namespaces" => Some(forbidden("Principal 'ann' is not authorized for op LIST_NAMESPACES")),
        "/v1/namespaces/mine/tables/t" => Some(table("memory://nowhere/t")),
        _ => one_table(r),
    });
    let run = beside.floe.line("catalog check r --json");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(run.code, 7, "{report}");
    let list = report["steps"].as_array().unwrap().iter().find(|s| s["step"] == "list").unwrap().clone();
    assert!(list["message"].as_str().unwrap().contains("LIST_NAMESPACES"), "{list}");
    assert!(list["hint"].as_str().unwrap().contains("--namespace"), "{list}");
    assert_eq!(report["allowed"]["list"], false);
    let run = beside.floe.line("catalog check r --namespace mine --json");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["allowed"]["list"], true, "{report}");
    assert_eq!(report["allowed"]["read"], true, "{report}");
}

#[test]
fn a_table_is_made_in_a_namespace_whose_parent_may_not_be_looked_at() {
    let beside = Beside::new(|r| match (r.method.as_str(), r.path()) {
        ("GET" | "HEAD", "/v1/namespaces/theirs") => Some(forbidden("not yours")),
        ("GET" | "HEAD", "/v1/namespaces/theirs%1Fmine") => Some(forbidden("not to be looked at")),
        (_, "/v1/namespaces") => Some(forbidden("no listing")),
        ("POST", "/v1/namespaces/theirs%1Fmine/tables") => Some(table("file:///tmp/lake/mine/t")),
        _ => None,
    });
    beside.floe.file("schema.json", support::SCHEMA);
    let words = ["create", "theirs.mine.t", "--schema", "schema.json", "--json"];
    assert_eq!(beside.floe.run(&words).ok().json()["created"], true);
    assert_eq!(beside.server.count("POST", "/v1/namespaces"), 1, "no namespace is made");
    let (code, error) = beside.error(&["list"]);
    assert_eq!(code, 7, "{error}");
    assert!(error["hint"].as_str().unwrap().contains("floe list NAMESPACE"), "{error}");
}

#[test]
fn a_reader_is_told_what_it_may_do() {
    let denied = |r: &Request| {
        r.path().starts_with("/bucket/").then(|| Reply {
            body: "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".into(),
            ..Reply::status(403)
        })
    };
    let handler = move |r: &Request| match r.path() {
        "/v1/namespaces" if r.method == "GET" => match r.query("parent") {
            None => Some(namespaces(&[&["ns"]])),
            Some(_) => Some(namespaces(&[])),
        },
        "/v1/namespaces/ns/tables/t" => {
            let mut reply = table("s3://bucket/ns/t");
            let mut body: Value = serde_json::from_slice(&reply.body).unwrap();
            body["config"] = json!({"s3.access-key-id": "vended", "s3.secret-access-key": "hunter2"});
            reply.body = serde_json::to_vec(&body).unwrap().into();
            Some(reply)
        }
        _ => denied(r).or_else(|| one_table(r)),
    };
    let beside = Beside::new(handler);
    let uri = beside.server.uri();
    let config = std::fs::read_to_string(beside.floe.path().join("floe.toml")).unwrap();
    beside.floe.file("floe.toml", format!("{config}\ns3.endpoint = '{uri}'\ns3.region = 'us-east-1'\n"));
    let run = beside.floe.line("catalog check r --json");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(run.code, 0, "{report} {}", run.stderr);
    assert_eq!(report["allowed"], json!({"list": true, "read": true, "write": false}), "{report}");
    let storage =
        report["steps"].as_array().unwrap().iter().find(|s| s["step"] == "storage").unwrap().clone();
    assert_eq!(storage["status"], "not_allowed", "{storage}");
    let hint = storage["hint"].as_str().unwrap();
    assert!(hint.contains("the catalog gave these credentials") && !hint.contains("grant"), "{storage}");
    let run = beside.floe.line("catalog check r --write --json");
    assert_eq!(run.code, 7, "{}", run.text());
    let text = beside.floe.line("catalog check r").ok().text();
    assert!(text.contains("not allowed: tables can be read"), "{text}");
}

#[test]
fn a_check_removes_what_it_made_even_where_nothing_of_it_can_be_loaded() {
    const NO_CREDENTIALS: &str =
        "Credential vending was requested for table probe, but no credentials are available";
    for purge in [true, false] {
        let (there, space) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (made, made_space) = (there.clone(), space.clone());
        let beside = Beside::new(move |r| {
            let path = r.path().to_owned();
            let is_table = path.contains("/tables/probe");
            Some(match r.method.as_str() {
                "GET" if path == "/v1/namespaces" => namespaces(&[]),
                "POST" if path == "/v1/namespaces" => {
                    made_space.store(true, Ordering::SeqCst);
                    Reply { body: r.body.clone(), ..Reply::status(200) }
                }
                "POST" if path.ends_with("/tables") => {
                    made.store(true, Ordering::SeqCst);
                    Reply::iceberg_error(400, "BadRequestException", NO_CREDENTIALS)
                }
                "DELETE" if is_table && r.query("purgeRequested") == Some("true") && !purge => {
                    forbidden("no purge")
                }
                "DELETE" if is_table => {
                    made.store(false, Ordering::SeqCst);
                    Reply::status(204)
                }
                "DELETE" if made.load(Ordering::SeqCst) => {
                    Reply::iceberg_error(409, "NamespaceNotEmptyException", "not empty")
                }
                "DELETE" => {
                    made_space.store(false, Ordering::SeqCst);
                    Reply::status(204)
                }
                _ if is_table && !made.load(Ordering::SeqCst) => return None,
                _ if is_table && r.header("x-iceberg-access-delegation").is_some() => {
                    Reply::iceberg_error(400, "BadRequestException", NO_CREDENTIALS)
                }
                _ if is_table => table("s3://bucket/probe"),
                _ if path.starts_with("/v1/namespaces/") => Reply::json(200, &json!({"namespace": ["x"]})),
                _ => return None,
            })
        });
        let run = beside.floe.line("catalog check r --write --json");
        let report: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_ne!(run.code, 0);
        let write =
            report["steps"].as_array().unwrap().iter().find(|s| s["step"] == "write").unwrap().clone();
        assert!(write["hint"].as_str().unwrap().contains("vended-credentials-enabled = false"), "{write}");
        let message = write["message"].as_str().unwrap();
        assert!(
            message.contains("no credentials are available") && message.contains("removed it"),
            "{write}"
        );
        assert!(!there.load(Ordering::SeqCst), "the table is left: {report}");
        assert!(!space.load(Ordering::SeqCst), "the namespace is left: {report}");
    }
}

#[test]
fn locations_that_others_read_otherwise_are_refused_before_anything_is_made() {
    let floe = Floe::new();
    floe.file("schema.json", support::SCHEMA);
    for location in ["s3://bucket//t", "s3://bucket/a/../t", "s3://bucket/a#b", "/tmp/x?y", "file:///tmp/./x"]
    {
        let run = floe.run(&["create", "t.t", "--schema", "schema.json", "--location", location, "--json"]);
        assert_eq!(run.code, 2, "{location}: {}", run.stderr);
        assert!(run.stderr.contains(location), "it is refused by name: {}", run.stderr);
    }
    for name in ["new.a#b", "new.\"a/b\"", "new.\"v.1\".t", "new.\"..\".t"] {
        let run = floe.run(&["create", name, "--schema", "schema.json", "--json"]);
        assert_eq!(run.code, 2, "{name}: {}", run.stderr);
    }
    assert!(floe.files().is_empty());
    assert!(!floe.warehouse().exists(), "no namespace is left either");
    // A warehouse is where new tables go.
    let toml = "[catalogs.odd]\ntype = 'local'\nuri = 'catalog.db'\nwarehouse = 's3://bucket//lake'\n";
    floe.file("floe.toml", toml);
    let run = floe.line("catalog check odd --json");
    assert_eq!(run.code, 2, "{} {}", run.text(), run.stderr);
    assert!(
        run.stderr.contains("s3://bucket//lake") && run.stderr.contains("begins with a slash"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_server_cannot_write_to_the_terminal() {
    use floe::text::is_unseen;

    let hostile =
        "x\u{1b}]0;owned\u{7}\u{1b}[2J\r\nundo: floe drop a.b\u{9b}31m\u{202e}y\u{2066}\u{feff}\u{7f}z";
    for status in [200, 400, 403, 404, 409, 429, 500, 503] {
        let beside = Beside::new(move |request| {
            if request.path() == "/v1/config" {
                return None;
            }
            if status == 200 && request.path() == "/v1/namespaces" {
                return Some(Reply::json(200, &json!({"namespaces": [[hostile], ["a"]]})));
            }
            if status == 200 && request.path().ends_with("/tables") {
                let named = json!({"namespace": ["a"], "name": hostile});
                return Some(Reply::json(200, &json!({"identifiers": [named]})));
            }
            if status == 200
                && request.path().starts_with("/v1/namespaces/")
                && !request.path().contains("/tables")
            {
                let properties = json!({hostile: hostile});
                return Some(Reply::json(200, &json!({"namespace": [hostile], "properties": properties})));
            }
            Some(Reply::iceberg_error(if status == 200 { 400 } else { status }, hostile, hostile))
        });
        for words in [
            &["list"][..],
            &["list", "a"],
            &["describe", "a.b"],
            &["scan", "a.b"],
            &["namespace", "list"],
            &["namespace", "describe", "a"],
            &["namespace", "properties", "a"],
            &["drop", "a.b"],
            &["catalog", "check", "--timeout", "5"],
        ] {
            // What is said to be tried later is tried for some seconds.
            if [429, 503].contains(&status) && words[0] != "list" {
                continue;
            }
            for extra in [None, Some("--json"), Some("-vvv")] {
                let mut words = words.to_vec();
                words.extend(extra);
                let run = beside.floe.run(&words);
                let shown = format!("{}{}", String::from_utf8(run.stdout.clone()).unwrap(), run.stderr);
                let bad = shown.chars().find(|c| *c != '\n' && is_unseen(*c));
                assert_eq!(bad, None, "{status} {words:?}: {shown:?}");
                assert!(!shown.lines().any(|line| line.starts_with("undo:")), "{status} {words:?}: {shown}");
            }
        }
    }
}
