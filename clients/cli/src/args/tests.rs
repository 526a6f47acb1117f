//! That the command line reads what its help promises.

use clap::CommandFactory;

use super::*;
use crate::exit::Exit;

fn read(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

fn help_of(path: &[&str]) -> String {
    let mut command = Cli::command();
    command.build();
    let mut found = &mut command;
    for name in path {
        found = found.find_subcommand_mut(name).expect(name);
    }
    found.render_long_help().to_string()
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_teaches_first_steps_and_exit_codes() {
    let help = help_of(&[]);
    for word in [
        "framefair up",
        "wallet airdrop 2",
        "node run --hub",
        "Exit codes:",
        "130  interrupted",
        "--json",
    ] {
        assert!(help.contains(word), "{word} is missing in:\n{help}");
    }
    for command in [
        "render",
        "jobs",
        "watch",
        "status",
        "providers",
        "cancel",
        "wallet",
        "node",
        "doctor",
        "up",
    ] {
        assert!(help.contains(&format!("\n  {command}")), "{command}");
    }
}

#[test]
fn every_command_documents_its_flags_and_variables() {
    let cases: [(&[&str], &[&str]); 10] = [
        (
            &["render"],
            &[
                "--frames",
                "--engine",
                "--samples",
                "--size",
                "--format",
                "--provider",
                "--max-price",
                "--yes",
                "--hub",
                "--wallet",
                "--out",
                "--rpc",
                "--timeout",
                "--private",
                "counts for each",
                "say yes once",
                "`jobs`",
                "FRAMEFAIR_HUB",
                "FRAMEFAIR_WALLET",
                "FRAMEFAIR_RPC",
                "Examples:",
                "never pays twice",
            ],
        ),
        (&["jobs"], &["--out", "--hub", "STAGE", "away", "Examples:"]),
        (&["watch"], &["JOB", "--hub", "--out", "--timeout", "exit codes", "Examples:"]),
        (
            &["doctor"],
            &[
                "--hub",
                "--rpc",
                "--wallet",
                "--blender",
                "--work",
                "warning",
                "else 9",
                "Examples:",
            ],
        ),
        (&["status"], &["--hub", "JOB"]),
        (&["providers"], &["--status", "maintenance"]),
        (&["cancel"], &["--wallet", "--hub"]),
        (&["wallet", "balance"], &["--wallet", "--rpc"]),
        (&["wallet", "airdrop"], &["<SOL>", "--rpc"]),
        (
            &["node", "run"],
            &[
                "--price-frame",
                "--price-second",
                "--price-gb",
                "--price-min",
                "--name",
                "--blender",
                "--no-sandbox",
                "--max-jobs",
                "--work",
                "Examples:",
            ],
        ),
    ];
    for (path, words) in cases {
        let help = help_of(path);
        for word in words {
            assert!(help.contains(word), "{path:?}: {word} is missing in:\n{help}");
        }
    }
}

#[test]
fn a_render_is_read_with_all_its_flags() {
    let cli = read(
        "framefair render a.blend --frames -2-8 --engine eevee --samples 16 --size 320x180 --format exr \
         --max-price 0.01 --yes --hub http://127.0.0.1:8000 --wallet w.json --out o --json",
    )
    .unwrap();
    let Command::Render(render) = cli.command else { panic!("not a render") };
    assert!(cli.json && render.yes && !render.private);
    assert_eq!(render.scenes, [PathBuf::from("a.blend")]);
    assert_eq!(render.frames, Some(Frames { start: -2, end: 8 }));
    assert_eq!(render.format, Picture::Exr);
    assert_eq!(render.max_price, Some(Lamports(10_000_000)));
    assert_eq!(render.patience.time(), Duration::from_secs(600));
}

#[test]
fn several_scenes_stand_before_or_between_the_flags() {
    let cli = read(
        "framefair render a.blend b.blend --private --hub http://h --wallet w --out o --new c.blend",
    )
    .unwrap();
    let Command::Render(render) = cli.command else { panic!("not a render") };
    assert_eq!(render.scenes, ["a.blend", "b.blend", "c.blend"].map(PathBuf::from));
    assert!(render.private && render.new);
}

#[test]
fn a_wrong_command_line_is_refused_with_the_documented_code() {
    let rest = "--hub http://h --wallet w --out o";
    for line in [
        "framefair".to_owned(),
        "framefair frobnicate".to_owned(),
        format!("framefair render {rest}"),
        format!("framefair render a.blend --frames 8-1 {rest}"),
        format!("framefair render a.blend --size 0x1 {rest}"),
        format!("framefair render a.blend --samples 0 {rest}"),
        format!("framefair render a.blend --max-price 1e-3 {rest}"),
        format!("framefair render a.blend --max-price 0 {rest}"),
        format!("framefair render a.blend --provider ../x {rest}"),
        "framefair render a.blend --hub ftp://h --wallet w --out o".to_owned(),
        format!("framefair render {} {rest}", "a.blend ".repeat(33)),
        "framefair watch not-a-job --hub http://h".to_owned(),
        "framefair jobs --hub ftp://h".to_owned(),
        "framefair doctor --rpc nonsense".to_owned(),
        "framefair status not-a-job --hub http://h".to_owned(),
        "framefair wallet airdrop NaN --wallet w".to_owned(),
        "framefair node run --hub http://h --wallet w --price-frame 1001".to_owned(),
        "framefair node run --hub http://h --wallet w --max-jobs 0".to_owned(),
    ] {
        let error = read(&line).expect_err(&line);
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()), "{line}");
    }
}

#[test]
fn up_passes_every_argument_on() {
    let Command::Up(up) = read("framefair up --data d --port 9000 --help").unwrap().command else {
        panic!("not up")
    };
    assert_eq!(up.arguments, ["--data", "d", "--port", "9000", "--help"]);
}
