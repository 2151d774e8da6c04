//! The quickstart, on real data.
#![allow(clippy::unwrap_used)]

mod support;

use support::Floe;

#[test]
fn the_quickstart_shows_what_it_does_and_can_be_run_again() {
    let floe = Floe::new();
    let text = floe.line("quickstart --warehouse lake").ok().text();
    for part in [
        "336,776",
        "quickstart.flights",
        "month(time_hour)",
        "pruned by partition",
        "scan quickstart.flights --at",
        "Next:",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let again = floe.line("quickstart --warehouse lake --json").json();
    assert_eq!(again["table"], "quickstart.flights_2");
    assert_eq!(again["rows"], 336_776);
    assert_eq!(again["time_travel"]["rows_now"], 336_776);
    assert_eq!(again["snapshots"].as_array().unwrap().len(), 2);
    assert!(again["files"].as_u64().unwrap() >= 13 && again["bytes"].as_u64().unwrap() > 1_000_000);
    let pruning = &again["filtered"]["pruning"];
    assert!(
        pruning["files_planned"].as_u64().unwrap() < pruning["files_total"].as_u64().unwrap(),
        "{pruning}"
    );

    // Counted with another tool from the CSV file.
    let count = |filter: &str| {
        let words = [
            "scan",
            "quickstart.flights",
            "--warehouse",
            "lake",
            "--columns",
            "flight",
            "--filter",
            filter,
            "--json",
        ];
        floe.run(&words).json()["rows"].as_u64().unwrap()
    };
    assert_eq!(count("origin = 'JFK'"), 111_279);
    assert_eq!(count("dep_time is null"), 8_255);
    assert_eq!(count("carrier in ('UA', 'AA') and dep_delay > 60"), 5_827);
}
