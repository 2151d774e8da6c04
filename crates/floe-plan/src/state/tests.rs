use proptest::prelude::*;

use super::*;

fn states(references: &[(&str, i64, bool)], snapshots: &[i64], log: &[(i64, i64)]) -> States {
    States {
        references: references
            .iter()
            .map(|(name, id, is_branch)| {
                ((*name).into(), Reference { snapshot_id: *id, is_branch: *is_branch })
            })
            .collect(),
        snapshots: snapshots.iter().copied().collect(),
        mentioned: log.iter().map(|(_, id)| *id).collect(),
        log: log.to_vec(),
        current: log.last().map(|(_, id)| *id),
    }
}

#[test]
fn a_tag_named_like_a_date_or_an_id_wins_and_is_noted() {
    let day = 1_798_675_200_000; // 2026-12-31
    let states = states(&[("2026-12-31", 1, false), ("2", 1, true)], &[1, 2], &[(0, 1), (day, 2)]);
    let tag = states.resolve("2026-12-31").unwrap();
    assert_eq!((tag.snapshot_id, tag.is_branch), (Some(1), false));
    assert!(tag.note.unwrap().contains(&format!("ms:{day}")));
    let branch = states.resolve("2").unwrap();
    assert_eq!((branch.snapshot_id, branch.is_branch), (Some(1), true));
    assert!(branch.note.unwrap().contains("id:2"));
    assert_eq!(states.resolve("id:2").unwrap().snapshot_id, Some(2));
    assert_eq!(states.resolve(&format!("ms:{day}")).unwrap().snapshot_id, Some(2));
    assert_eq!(states.resolve("2026-12-31T00:00:00Z").unwrap().snapshot_id, Some(2));
    assert_eq!((states.name_of(2), states.name_of(1)), (Some("id:2".into()), Some("1".into())));
}

#[test]
fn an_unknown_number_is_no_time_and_the_error_says_what_there_is() {
    let states = states(&[], &[8], &[(10, 7), (20, 8)]);
    for (text, part) in
        [("7", "has expired"), ("9", "there is no snapshot 9"), ("1714564800000", "ms:1714564800000")]
    {
        let error = states.resolve(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SnapshotNotFound);
        assert!(error.to_string().contains(part) && error.to_string().contains("ms:"), "{error}");
    }
    let long = states.resolve("99999999999999999999").unwrap_err();
    assert_eq!(long.kind(), ErrorKind::SnapshotNotFound);
    for text in ["ms:", "ms:x", "ms:1.5", "id:", "id:abc", "ms: 5"] {
        assert_eq!(states.resolve(text).unwrap_err().kind(), ErrorKind::Validation, "{text}");
    }
}

#[test]
fn a_time_whose_snapshot_expired_or_that_the_log_does_not_reach_is_an_error() {
    let states = states(&[], &[8], &[(10, 7), (20, 8)]);
    let gone = states.resolve("ms:15").unwrap_err();
    assert!(gone.message().contains("snapshot 7") && gone.message().contains("has expired"), "{gone}");
    let early = states.resolve("ms:5").unwrap_err();
    assert!(early.message().contains("its log begins at 1970-01-01T00:00:00.010Z"), "{early}");
    assert_eq!(states.resolve("ms:20").unwrap().snapshot_id, Some(8));
    let unlogged = States { snapshots: [1].into(), current: Some(1), ..States::default() };
    assert!(unlogged.resolve("2100-01-01").unwrap_err().message().contains("no log"));
    assert!(States::default().resolve("2100-01-01").unwrap_err().message().contains("none yet"));
}

#[test]
fn the_log_is_read_by_its_times() {
    let states = states(&[], &[1, 2, 3], &[(20, 2), (10, 1), (30, 3), (30, 1)]);
    for (ms, id) in [(10, 1), (19, 1), (20, 2), (29, 2), (30, 1), (99, 1)] {
        assert_eq!(states.at_time(ms).unwrap().snapshot_id, Some(id), "{ms}");
    }
    let skewed = States { current: Some(2), log: vec![(20, 1), (10, 2)], ..states };
    assert!(skewed.at_time(20).unwrap().note.unwrap().contains("not in the order of time"));
    assert_eq!(skewed.at_time(15).unwrap(), State { note: None, ..skewed.at_time(15).unwrap() });
}

#[test]
fn the_main_branch_is_there_before_it_has_a_snapshot() {
    let main = States::default().resolve("main").unwrap();
    assert_eq!((main.snapshot_id, main.is_branch), (None, true));
    let lost = states(&[("main", 5, true)], &[1], &[]);
    assert_eq!(lost.resolve("main").unwrap_err().kind(), ErrorKind::SnapshotNotFound);
}

#[test]
fn times_are_read_in_utc_unless_they_have_an_offset() {
    let noon = 1_714_564_800_000;
    for text in [
        "2024-05-01T12:00:00Z",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01 12:00:00",
        "2024-05-01T12:00",
        "2024-05-01 12:00:00.0009",
        "ms:1714564800000",
    ] {
        assert_eq!(read(text).unwrap(), Reading::Time(noon), "{text}");
    }
    for text in [
        " 2024-05-01",
        "2024-05-01 ",
        "2024-13-01",
        "2024-05-01T25:00",
        "yesterday",
        "v2024-05-01",
        "+5",
        "1.5",
        "",
    ] {
        assert_eq!(read(text).unwrap(), Reading::Name(text.into()), "{text}");
    }
    assert_eq!(read(&time_text(i64::MAX)).unwrap(), Reading::Time(i64::MAX));
    assert_eq!(read(&time_text(-1)).unwrap(), Reading::Time(-1));
}

#[test]
fn new_names_are_refused_or_warned_of() {
    for name in ["", " ", " a", "a ", "a\nb", "a\tb", "\u{7f}", "a\u{200b}b", "\u{feff}a", "a\u{202e}b"] {
        assert_eq!(check_new_name(name).unwrap_err().kind(), floe_core::ErrorKind::Validation, "{name:?}");
    }
    for name in ["a b", "größe", "2024-05-01", "7", "ms:7", "it's", "-x", "a/b"] {
        check_new_name(name).unwrap();
    }
    for name in
        ["7", "-7", "ms:7", "ms:", "id:7", "2024-05-01", "2024-05-01T00:00:00Z", "99999999999999999999"]
    {
        assert!(confusing_name(name).is_some(), "{name}");
    }
    for name in ["v1", "2024-q2", "2024_05_01", "main", "1.0"] {
        assert!(confusing_name(name).is_none(), "{name}");
    }
}

/// Texts that users type: names, ids and times that are near each other, so that they collide.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..6_i64).prop_map(|n| n.to_string()),
        (0..6_i64).prop_map(|n| format!("ms:{n}")),
        (0..6_i64).prop_map(|n| format!("id:{n}")),
        (0..6_i64).prop_map(time_text),
        prop::sample::select(vec!["main", "a", "b", "1970-01-01", "1970-01-01T00:00", ""])
            .prop_map(String::from),
    ]
}

/// What is right, said another way: every candidate is written down, and the first of its kind is taken.
#[allow(clippy::option_option, reason = "no state, and the state of a table without snapshots")]
fn brute_force(states: &States, text: &str) -> Option<Option<i64>> {
    let there = |id: i64| states.snapshots.iter().any(|s| *s == id).then_some(Some(id));
    for (name, reference) in &states.references {
        if name == text {
            return there(reference.snapshot_id);
        }
    }
    if text == "main" {
        return Some(states.current);
    }
    for id in -10..20_i64 {
        if text == id.to_string() || text == format!("id:{id}") {
            return there(id);
        }
    }
    for ms in -10..20_i64 {
        let midnight = ms == 0 && (text == "1970-01-01" || text == "1970-01-01T00:00");
        if text == format!("ms:{ms}") || text == time_text(ms) || midnight {
            let mut best: Option<(i64, i64)> = None;
            for (at, id) in &states.log {
                if *at <= ms && best.is_none_or(|(then, _)| *at >= then) {
                    best = Some((*at, *id));
                }
            }
            return best.and_then(|(_, id)| there(id));
        }
    }
    None
}

proptest! {
    #[test]
    fn a_name_means_what_brute_force_finds(
        references in prop::collection::btree_map(text(), (0..6_i64, any::<bool>()), 0..4),
        snapshots in prop::collection::btree_set(0..6_i64, 0..6),
        log in prop::collection::vec((0..6_i64, 0..6_i64), 0..6),
        text in text(),
    ) {
        let references = references
            .into_iter()
            .map(|(name, (snapshot_id, is_branch))| (name, Reference { snapshot_id, is_branch }))
            .collect();
        let current = log.last().map(|(_, id)| *id).filter(|id| snapshots.contains(id));
        let states = States { references, snapshots, mentioned: BTreeSet::new(), log, current };
        let found = states.resolve(&text);
        prop_assert_eq!(found.as_ref().ok().map(|state| state.snapshot_id), brute_force(&states, &text));
        if let Err(error) = found {
            prop_assert!(error.hint().is_some(), "{}", error);
        }
        for id in &states.snapshots {
            if let Some(name) = states.name_of(*id) {
                prop_assert_eq!(states.resolve(&name).unwrap().snapshot_id, Some(*id));
            }
        }
    }
}
