//! Providers that are dialled say in Blender's own words when the scene is at fault.

use framefair_app::delivery::{self, Connection, Errand, Pushed};
use framefair_app::provider::Signed;
use framefair_app::{Hint, JobState};
use framefair_domain::signing;

use crate::world::{BASE, BOOT, PRICE, Party, World};

#[tokio::test]
async fn a_scene_without_a_camera_is_nobodys_fault_and_is_tried_no_more() {
    for (words, ends) in [
        ("Error: Cannot render, no camera", JobState::Failed),
        ("CUDA out of memory", JobState::Queued),
    ] {
        let mut world = World::new().await;
        let party = Party::new(77);
        world.give(&party.wallet(), 1_000_000_000).await;
        world.home = world.register(&party, BASE, false).await;
        // The other one asks for more than was paid, so nobody else could look at it.
        world.provider(&world.home_party, 10 * BASE).await;
        let client = world.client(1).await;
        let (job, _) = world.paid(&client, PRICE).await;
        let node = world.lease(job).await.node;
        assert_eq!(node, world.home);
        let (ctx, call, relay) =
            (&world.ctx, world.call(), Connection { relay: 0, boot: BOOT.to_owned() });
        let errand = delivery::errand(ctx, &call, &Hint::about(job), &relay).await.unwrap();
        let Errand::Push(parcel) = errand else { panic!("it is to be sent") };
        delivery::pushed(ctx, &call, *parcel, Pushed::Accepted).await.unwrap();
        let signature = party.says(&signing::failed(job, words));
        let signed = Some(Signed { signature, once: None });
        delivery::hand_back(ctx, &world.call(), job, node, words, signed).await.unwrap();
        assert_eq!(world.job(job).await.state, ends, "{words}");
    }
}
