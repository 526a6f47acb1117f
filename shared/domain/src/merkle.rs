//! Merkle trees as RFC 6962 has them, over leaves that are hashed already. Knows no leaf.

use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The side on which the sibling stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    pub const fn word(self) -> &'static str {
        match self {
            Side::Left => "left",
            Side::Right => "right",
        }
    }
}

/// One step from a leaf towards the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub sibling: Hash,
    pub side: Side,
}

pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([LEAF]).chain_update(leaf).finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([NODE]).chain_update(left).chain_update(right).finalize().into()
}

/// The root over these leaf hashes; none over no leaves.
pub fn root(leaves: &[Hash]) -> Option<Hash> {
    match leaves {
        [] => None,
        [leaf] => Some(*leaf),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            Some(node_hash(&root(left)?, &root(right)?))
        }
    }
}

/// The largest power of two below `n`, which is at least 2.
fn split(n: usize) -> usize {
    (n - 1).checked_ilog2().map_or(1, |bits| 1 << bits)
}

/// The way from a leaf to the root; none where there is no such leaf.
pub fn path(leaves: &[Hash], index: usize) -> Option<Vec<Step>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut steps, other, side) = match index.checked_sub(left.len()) {
        None => (path(left, index)?, right, Side::Right),
        Some(index) => (path(right, index)?, left, Side::Left),
    };
    steps.push(Step { sibling: root(other)?, side });
    Some(steps)
}

/// The root to which the steps lead from this leaf.
pub fn fold(leaf: Hash, steps: &[Step]) -> Hash {
    steps.iter().fold(leaf, |here, step| match step.side {
        Side::Left => node_hash(&step.sibling, &here),
        Side::Right => node_hash(&here, &step.sibling),
    })
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;

    use super::*;

    /// The leaves and the roots of the first n of them that RFC 6962's own implementation tests with.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn hashes() -> Vec<Hash> {
        LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).expect("hex"))).collect()
    }

    #[test]
    fn the_known_trees_have_the_known_roots() {
        let leaves = hashes();
        for (n, known) in (1..).zip(ROOTS) {
            assert_eq!(root(&leaves[..n]).map(hex::encode).as_deref(), Some(known), "{n} leaves");
        }
        assert_eq!((root(&[]), path(&[], 0)), (None, None));
        assert_eq!(path(&leaves[..1], 0), Some(Vec::new()));
    }

    #[test]
    fn every_leaf_leads_to_the_root_and_a_flipped_bit_nowhere() {
        let leaves = hashes();
        for n in 1..=leaves.len() {
            let whole = root(&leaves[..n]).expect("a root");
            for (index, leaf) in leaves[..n].iter().enumerate() {
                let steps = path(&leaves[..n], index).expect("a path");
                assert_eq!(fold(*leaf, &steps), whole);
                let mut other = *leaf;
                other[31] ^= 1;
                assert_ne!(fold(other, &steps), whole);
                for at in 0..steps.len() {
                    let mut bent = steps.clone();
                    bent[at].sibling[0] ^= 1;
                    assert_ne!(fold(*leaf, &bent), whole);
                }
            }
            assert_eq!(path(&leaves[..n], n), None);
        }
    }

    proptest! {
        #[test]
        fn another_implementation_says_the_same(leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..200), lot: prop::sample::Index) {
            let mut tree = MemoryBackedTree::<sha2_011::Sha256, Vec<u8>>::new();
            leaves.iter().for_each(|leaf| tree.push(leaf.clone()));
            let hashed: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
            let theirs = tree.root();
            prop_assert_eq!(&root(&hashed).expect("a root")[..], &theirs.as_bytes()[..]);
            let index = lot.index(leaves.len());
            let steps = path(&hashed, index).expect("a path");
            let siblings: Vec<u8> = steps.iter().flat_map(|step| step.sibling).collect();
            let theirs = tree.prove_inclusion(index);
            prop_assert_eq!(&siblings[..], theirs.as_bytes());
        }
    }
}
