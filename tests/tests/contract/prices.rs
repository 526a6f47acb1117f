//! The price vectors of the contract through the live endpoint, with scenes of those sizes.

use serde_json::Value;

use crate::people::{Seller, blend, order, still};
use crate::schema::contract;
use crate::stage::Hub;

#[tokio::test(flavor = "multi_thread")]
async fn the_price_vectors_of_the_contract_are_quoted_to_the_lamport() {
    let hub = Hub::start().await;
    let seller = Seller::new(1).register(&hub, &[]).await;
    seller.set(&hub, "online").await.is(200);
    let contract = contract("market");
    let vectors = contract["x-price"]["vectors"].as_array().expect("vectors");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let number = |name: &str| vector[name].to_string();
        let raw = format!(
            r#"{{"pricePerFrame":{},"pricePerSecond":{},"pricePerGb":{},"minimumPrice":{},"currency":"SOL"}}"#,
            number("perFrame"),
            number("perSecond"),
            number("perGb"),
            number("minimum"),
        );
        seller.ask(&hub, &raw).await.is(200);
        // No scene has one byte; the fee of a few hundred rounds to the same nothing.
        let bytes = usize::try_from(vector["bytes"].as_u64().expect("a size")).expect("it fits");
        let scene = blend(bytes);
        assert!(scene.len() == bytes || bytes == 1, "{}", scene.len());
        let texts = [
            ("clientWallet", Seller::new(50).wallet),
            ("providerId", seller.id.clone()),
            ("settings", still().to_string()),
        ];
        let request = hub.ask("POST", "/render").multipart(order(scene, &texts));
        let payment = &hub.call("renderSubmit", request).await.is(402).json()["payment"];
        let names =
            ["basePrice", "fileSizeFee", "frameFee", "estimatedRenderFee", "platformFee", "total"];
        for name in names {
            assert_eq!(payment["breakdown"][name], vector[name], "{name} of {vector}");
        }
        assert_eq!(payment["price"], vector["total"]);
        assert_eq!(payment["lamports"], Value::from(number("lamports")));
    }
    hub.stop().await;
}
