//! The three programs that we speak to, byte by byte: System, Memo, Compute Budget. Knows no
//! transaction and no policy.

use framefair_domain::money::Lamports;
use framefair_domain::wallet::Wallet;
use solana_address::{Address, address};
use solana_instruction::{AccountMeta, Instruction};

pub const MEMO_PROGRAM: &str = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr";

pub(crate) const SYSTEM: Address = address!("11111111111111111111111111111111");
pub(crate) const MEMO: Address = address!("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const COMPUTE_BUDGET: Address = address!("ComputeBudget111111111111111111111111111111");

/// Number of `Transfer` among the System program's instructions, as four bytes, little end first.
const TRANSFER: [u8; 4] = [2, 0, 0, 0];
/// Numbers among the Compute Budget program's instructions.
const SET_UNIT_LIMIT: u8 = 2;
const SET_UNIT_PRICE: u8 = 3;

pub(crate) fn address_of(wallet: &Wallet) -> Address {
    Address::from(*wallet.as_bytes())
}

pub(crate) fn transfer(from: &Wallet, to: &Wallet, lamports: Lamports) -> Instruction {
    let accounts =
        vec![AccountMeta::new(address_of(from), true), AccountMeta::new(address_of(to), false)];
    let data = [TRANSFER.as_slice(), &lamports.0.to_le_bytes()].concat();
    Instruction { program_id: SYSTEM, accounts, data }
}

/// Names no accounts, so that nobody's signature is needed for it.
pub(crate) fn memo(text: &str) -> Instruction {
    Instruction { program_id: MEMO, accounts: Vec::new(), data: text.as_bytes().to_vec() }
}

pub(crate) fn unit_limit(units: u32) -> Instruction {
    let data = [[SET_UNIT_LIMIT].as_slice(), &units.to_le_bytes()].concat();
    Instruction { program_id: COMPUTE_BUDGET, accounts: Vec::new(), data }
}

/// The price of a compute unit, in millionths of a lamport.
pub(crate) fn unit_price(micro_lamports: u64) -> Instruction {
    let data = [[SET_UNIT_PRICE].as_slice(), &micro_lamports.to_le_bytes()].concat();
    Instruction { program_id: COMPUTE_BUDGET, accounts: Vec::new(), data }
}

/// The amount, when the data is that of a System transfer. The program ignores what follows the
/// amount, and so do we: it moved the money all the same.
pub(crate) fn read_transfer(data: &[u8]) -> Option<Lamports> {
    let amount = data.strip_prefix(&TRANSFER)?.first_chunk::<8>()?;
    Some(Lamports(u64::from_le_bytes(*amount)))
}

pub(crate) fn read_unit_limit(data: &[u8]) -> Option<u32> {
    let units = data.strip_prefix(&[SET_UNIT_LIMIT])?;
    Some(u32::from_le_bytes(units.try_into().ok()?))
}

pub(crate) fn read_unit_price(data: &[u8]) -> Option<u64> {
    let price = data.strip_prefix(&[SET_UNIT_PRICE])?;
    Some(u64::from_le_bytes(price.try_into().ok()?))
}
