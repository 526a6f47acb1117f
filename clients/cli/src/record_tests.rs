//! That a stopped job goes on where it stopped, and never pays twice.

use super::*;

fn record(stage: Stage, signed: bool) -> Record {
    Record {
        version: VERSION,
        stage,
        job: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001".parse().unwrap(),
        hub: "http://127.0.0.1:8000".to_owned(),
        wallet: "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr".parse().unwrap(),
        scene: "scene.blend".into(),
        scene_sha256: "ab".repeat(32),
        name: "scene".to_owned(),
        settings: Settings::default(),
        frames: Frames { start: 1, end: 8 },
        pay_to: "So11111111111111111111111111111111111111112".parse().unwrap(),
        lamports: Lamports(8_400_000),
        memo: "rayment:0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001".to_owned(),
        expires_at: 1,
        access_token: None,
        payment: signed.then_some(Attempt {
            signature: Some(TxSignature([7; 64])),
            slot: 9,
            last_valid_block_height: 150,
        }),
        together: Vec::new(),
        files: Vec::new(),
    }
}

fn words() -> [Option<JobStatus>; 8] {
    [
        None,
        Some(JobStatus::PendingPayment),
        Some(JobStatus::Paid),
        Some(JobStatus::Queued),
        Some(JobStatus::Rendering),
        Some(JobStatus::Completed),
        Some(JobStatus::Failed),
        Some(JobStatus::Cancelled),
    ]
}

#[test]
fn signed_money_is_never_forgotten() {
    for word in words() {
        for stage in [Stage::Paying, Stage::Paid] {
            assert_ne!(record(stage, true).next(word.as_ref()), Next::Forget, "{stage:?} {word:?}");
        }
    }
    assert_eq!(
        record(Stage::Paying, true).next(Some(&JobStatus::PendingPayment)),
        Next::SeePaymentThrough
    );
    assert_eq!(record(Stage::Paying, true).next(None), Next::SeePaymentThrough);
    assert_eq!(
        record(Stage::Paying, true).next(Some(&JobStatus::Cancelled)),
        Next::SeePaymentThrough
    );
}

#[test]
fn an_offer_that_nobody_signed_is_forgotten() {
    for word in [None, Some(JobStatus::PendingPayment), Some(JobStatus::Cancelled)] {
        assert_eq!(record(Stage::Offered, false).next(word.as_ref()), Next::Forget, "{word:?}");
    }
}

#[test]
fn what_the_hub_calls_paid_is_watched_whatever_is_written_here() {
    for word in [JobStatus::Paid, JobStatus::Queued, JobStatus::Rendering, JobStatus::Completed] {
        for stage in [Stage::Offered, Stage::Paying, Stage::Paid] {
            for signed in [false, true] {
                assert_eq!(
                    record(stage, signed).next(Some(&word)),
                    Next::Watch,
                    "{stage:?} {word:?}"
                );
            }
        }
    }
}

#[test]
fn a_finished_job_starts_anew() {
    for word in words() {
        for stage in [Stage::Done, Stage::Over] {
            assert_eq!(record(stage, true).next(word.as_ref()), Next::Forget, "{stage:?} {word:?}");
        }
    }
}

#[test]
fn a_record_is_read_back_as_it_was_written_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::of(folder.path());
    records.prepare().unwrap();
    let mut kept = record(Stage::Paying, true);
    records.save(&kept).unwrap();
    assert_eq!(records.load(kept.job), Some(kept.clone()));
    kept.stage = Stage::Paid;
    records.save(&kept).unwrap();
    assert_eq!(records.load(kept.job), Some(kept.clone()));
    assert_eq!(fs::read_dir(records.folder()).unwrap().count(), 1, "no scaffolding stays");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(records.path(kept.job)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

#[test]
fn the_open_job_of_the_same_scene_is_found_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::of(folder.path());
    records.prepare().unwrap();
    let mine = record(Stage::Paying, true);
    let done = Record {
        stage: Stage::Done,
        job: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c009".parse().unwrap(),
        ..mine.clone()
    };
    let newer = Record {
        stage: Stage::Paid,
        job: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c002".parse().unwrap(),
        ..mine.clone()
    };
    for record in [&mine, &done, &newer] {
        records.save(record).unwrap();
    }
    fs::write(records.folder().join("broken.json"), "{").unwrap();
    fs::write(records.folder().join("huge.json"), vec![b' '; 1 << 20]).unwrap();
    let same = |r: &Record| r.is_same(&mine.hub, &mine.wallet, &mine.scene_sha256, &mine.settings);
    assert_eq!(records.find_open(same).map(|r| r.job), Some(newer.job));
    let other = Settings { samples: Some(3), ..Settings::default() };
    for other in [
        records.find_open(|r| {
            r.is_same("http://other", &mine.wallet, &mine.scene_sha256, &mine.settings)
        }),
        records
            .find_open(|r| r.is_same(&mine.hub, &mine.pay_to, &mine.scene_sha256, &mine.settings)),
        records.find_open(|r| r.is_same(&mine.hub, &mine.wallet, "00", &mine.settings)),
        records.find_open(|r| r.is_same(&mine.hub, &mine.wallet, &mine.scene_sha256, &other)),
    ] {
        assert_eq!(other, None);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_said_before_anything_is_paid() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FOLDER), "in the way").unwrap();
    let refused = Records::of(folder.path()).prepare().unwrap_err();
    assert_eq!(refused.exit, Exit::Files);
}

#[test]
fn what_is_done_counts_as_done_only_while_its_companions_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::of(folder.path());
    records.prepare().unwrap();
    let frame = folder.path().join("scene_0001.png");
    fs::write(&frame, "a picture").unwrap();
    let mut other = Record {
        job: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c002".parse().unwrap(),
        scene_sha256: "cd".repeat(32),
        ..record(Stage::Paid, true)
    };
    let done = record(Stage::Done, true);
    let done = Record { together: vec![done.job, other.job], files: vec![frame.clone()], ..done };
    records.save(&done).unwrap();
    records.save(&other).unwrap();
    let same = |r: &Record| r.scene_sha256 == done.scene_sha256;
    assert_eq!(records.find_half_done(same).map(|r| r.job), Some(done.job));
    other.stage = Stage::Done;
    records.save(&other).unwrap();
    assert_eq!(records.find_half_done(same), None, "both are done: the command starts anew");
    other.stage = Stage::Paid;
    records.save(&other).unwrap();
    fs::remove_file(&frame).unwrap();
    assert_eq!(records.find_half_done(same), None, "its frame is gone");
}

#[test]
fn a_token_is_shown_to_the_hub_that_gave_it_alone() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hub = |url: &str| Hub::new(url.parse().unwrap()).unwrap();
    let private = Record { access_token: Some("secret".to_owned()), ..record(Stage::Paid, true) };
    assert_eq!(private.token_for(&hub("http://127.0.0.1:8000/")), Some("secret"));
    for other in ["http://127.0.0.1:8001", "http://127.0.0.1:8000/hub", "http://hub.example.org"] {
        assert_eq!(private.token_for(&hub(other)), None, "{other}");
    }
}
