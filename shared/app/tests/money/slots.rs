//! Relays and their slots: one relay a slot, however many come at once.

use framefair_app::{Refusal, delivery};
use futures::future::join_all;

use crate::world::World;

const SLOT: u8 = 7;

#[tokio::test(flavor = "multi_thread")]
async fn of_relays_that_come_at_once_one_gets_the_slot_and_keeps_it() {
    let world = World::new().await;
    let boots: Vec<String> = (0..8).map(|number| format!("relay {number}")).collect();
    let call = world.call();
    let claims = boots.iter().map(|boot| delivery::renew_relay(&world.ctx, &call, SLOT, boot));
    let claims = join_all(claims).await;
    let lucky: Vec<&String> = boots
        .iter()
        .zip(&claims)
        .filter(|(_, claim)| claim.is_ok())
        .map(|(boot, _)| boot)
        .collect();
    let [holder] = lucky[..] else { panic!("{claims:?}") };
    for boot in &boots {
        let again = delivery::renew_relay(&world.ctx, &world.call(), SLOT, boot).await;
        assert_eq!(again.is_ok(), boot == holder, "{boot}: {again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_relay_went_silent_or_left_is_taken_and_never_taken_back() {
    let world = World::new().await;
    let claim = async |boot| delivery::renew_relay(&world.ctx, &world.call(), SLOT, boot).await;
    claim("old").await.unwrap();
    world.later(31).await;
    claim("new").await.unwrap();
    assert!(matches!(claim("old").await, Err(Refusal::Busy)));
    // A late goodbye of the old one takes nothing from the new one.
    delivery::leave_relay(&world.ctx, &world.call(), SLOT, "old").await.unwrap();
    assert!(matches!(claim("other").await, Err(Refusal::Busy)));
    delivery::leave_relay(&world.ctx, &world.call(), SLOT, "new").await.unwrap();
    claim("other").await.unwrap();
}
