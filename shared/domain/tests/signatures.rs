//! The one signature check against the twelve vectors of "Taming the many EdDSAs" (Chalkias, Garillot,
//! Nikolaenko, 2020), as `novifinancial/ed25519-speccheck` publishes them: places where the standards
//! leave a verifier free. Ours takes the strict side at each.

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use framefair_domain::signing::{SignatureRefused, verify};
use framefair_domain::wallet::Wallet;

struct Vector {
    /// What A (the key), R and S of the signature are.
    what: &'static str,
    message: &'static str,
    key: &'static str,
    signature: &'static str,
    expected: Result<(), SignatureRefused>,
}

const WEAK: Result<(), SignatureRefused> = Err(SignatureRefused::WeakKey);
const MISMATCH: Result<(), SignatureRefused> = Err(SignatureRefused::Mismatch);

const VECTORS: [Vector; 12] = [
    Vector {
        what: "0: S = 0, small A, small R",
        message: "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        key: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        signature: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000",
        expected: WEAK,
    },
    Vector {
        what: "1: small A, mixed R",
        message: "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        key: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        signature: "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        expected: WEAK,
    },
    Vector {
        what: "2: mixed A, small R",
        message: "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        key: "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        signature: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        expected: MISMATCH,
    },
    Vector {
        what: "3: mixed A, mixed R, and true by both equations: nobody else could have made it",
        message: "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        key: "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        signature: "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        expected: Ok(()),
    },
    Vector {
        what: "4: true by the equation with the cofactor alone",
        message: "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        key: "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        signature: "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        expected: MISMATCH,
    },
    Vector {
        what: "5: the same, and false once 8k is reduced first",
        message: "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        key: "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        signature: "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        expected: MISMATCH,
    },
    Vector {
        what: "6: S above the group's order",
        message: "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        key: "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        signature: "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        expected: MISMATCH,
    },
    Vector {
        what: "7: S far above it, with its highest bits in use",
        message: "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        key: "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        signature: "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        expected: MISMATCH,
    },
    Vector {
        what: "8: small R in no canonical form, hashed after reduction",
        message: "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        key: "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        signature: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        expected: MISMATCH,
    },
    Vector {
        what: "9: small R in no canonical form, hashed as it is",
        message: "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        key: "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        signature: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        expected: MISMATCH,
    },
    Vector {
        what: "10: small A in no canonical form, hashed after reduction",
        message: "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        key: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        signature: "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        expected: WEAK,
    },
    Vector {
        what: "11: small A in no canonical form, hashed as it is",
        message: "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        key: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        signature: "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        expected: WEAK,
    },
];

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).expect("hex").try_into().expect("the vector's length")
}

fn base58(bytes: &[u8]) -> String {
    bs58::encode(bytes).into_string()
}

#[test]
fn each_vector_of_the_many_eddsas_ends_as_strict_verification_has_it() {
    for Vector { what, message, key, signature, expected } in VECTORS {
        let wallet = Wallet::from_bytes(bytes(key)).expect("each key decodes to a point");
        let signature = base58(&bytes::<64>(signature));
        assert_eq!(verify(&wallet, &bytes::<32>(message), &signature), expected, "{what}");
    }
}

/// Those that a check without the word "strict" lets pass: what stands between them and us.
#[test]
#[allow(clippy::disallowed_methods, reason = "what must not be used passes these")]
fn some_of_the_vectors_pass_where_verification_is_not_strict() {
    let lax = VECTORS.iter().filter(|vector| {
        let key = VerifyingKey::from_bytes(&bytes(vector.key)).expect("a point");
        let signature = Signature::from_bytes(&bytes(vector.signature));
        key.verify(&bytes::<32>(vector.message), &signature).is_ok() && vector.expected.is_err()
    });
    let numbers: Vec<_> = lax.filter_map(|vector| vector.what.split(':').next()).collect();
    assert_eq!(numbers, ["0", "1", "2", "11"]);
}

/// All points whose order divides eight, in every spelling that decodes to one of them.
#[test]
fn no_key_of_small_order_signs_whatever_its_spelling() {
    let one = "01000000000000000000000000000000000000000000000000000000000000";
    let low = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    let eight = [
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc",
    ];
    let zero = "00".repeat(31);
    let spellings = [
        format!("{zero}00"),
        format!("{zero}80"),
        format!("{one}00"),
        format!("{one}80"),
        format!("{}7a", eight[0]),
        format!("{}fa", eight[0]),
        format!("{}05", eight[1]),
        format!("{}85", eight[1]),
        format!("ec{low}7f"),
        format!("ec{low}ff"),
        format!("ed{low}7f"),
        format!("ed{low}ff"),
        format!("ee{low}7f"),
        format!("ee{low}ff"),
    ];
    let mut nothing = [0; 64];
    nothing[0] = 1;
    for spelling in spellings {
        // R is the neutral point and S is 0: true of every eighth message at least, for whoever asks.
        let wallet = Wallet::from_bytes(bytes(&spelling)).expect("each decodes to a point");
        for n in 0..16 {
            let message = format!("register:{wallet}:{n}");
            let refused = verify(&wallet, message.as_bytes(), &base58(&nothing));
            assert_eq!(refused, WEAK, "{spelling}");
        }
    }
}
