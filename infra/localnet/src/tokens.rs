//! What SPL token accounts hold. Reads the two fixed layouts; knows nothing of transfers.

use litesvm::LiteSVM;
use serde::{Deserialize, Serialize};
use solana_account_decoder::{
    parse_account_data::SplTokenAdditionalDataV2,
    parse_token::{get_token_account_mint, token_amount_to_ui_amount_v3},
};
use solana_rpc_client_types::response::UiTokenAmount;
use solana_sdk::{account::Account, pubkey, pubkey::Pubkey};
use solana_transaction_status::TransactionTokenBalance;

const TOKEN: Pubkey = pubkey!("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
const TOKEN_2022: Pubkey = pubkey!("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");

const OWNER_AT: usize = 32;
const AMOUNT_AT: usize = 64;
const MINT_DECIMALS_AT: usize = 44;

/// One token account of a transaction, before or after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holding {
    /// Place among the transaction's keys.
    index: u8,
    mint: Pubkey,
    owner: Pubkey,
    program: Pubkey,
    amount: u64,
    decimals: u8,
}

impl Holding {
    pub(crate) fn encode(&self) -> TransactionTokenBalance {
        TransactionTokenBalance {
            account_index: self.index,
            mint: self.mint.to_string(),
            ui_token_amount: self.amount(),
            owner: self.owner.to_string(),
            program_id: self.program.to_string(),
        }
    }

    pub(crate) fn amount(&self) -> UiTokenAmount {
        let mint = SplTokenAdditionalDataV2::with_decimals(self.decimals);
        token_amount_to_ui_amount_v3(self.amount, &mint)
    }
}

/// The token accounts among `keys`; none at all for a transaction that names no token program.
pub(crate) fn holdings(svm: &LiteSVM, keys: &[Pubkey]) -> Vec<Holding> {
    if !keys.iter().any(is_token_program) {
        return Vec::new();
    }
    keys.iter()
        .enumerate()
        .filter(|(_, key)| !is_token_program(key))
        .filter_map(|(index, key)| {
            let index = u8::try_from(index).ok()?;
            holding(index, &svm.get_account(key)?, |mint| svm.get_account(mint))
        })
        .collect()
}

/// What `account` holds, if it is a token account of a known mint.
pub(crate) fn holding(
    index: u8,
    account: &Account,
    find_mint: impl FnOnce(&Pubkey) -> Option<Account>,
) -> Option<Holding> {
    if !is_token_program(&account.owner) {
        return None;
    }
    let mint = get_token_account_mint(&account.data)?;
    let owner = Pubkey::try_from(account.data.get(OWNER_AT..AMOUNT_AT)?).ok()?;
    let amount = account.data.get(AMOUNT_AT..AMOUNT_AT + 8)?.try_into().ok()?;
    Some(Holding {
        index,
        mint,
        owner,
        program: account.owner,
        amount: u64::from_le_bytes(amount),
        decimals: decimals(&find_mint(&mint)?)?,
    })
}

/// The mint of a token account, whoever holds it.
pub(crate) fn mint_of(account: &Account) -> Option<Pubkey> {
    is_token_program(&account.owner).then(|| get_token_account_mint(&account.data)).flatten()
}

pub(crate) fn decimals(mint: &Account) -> Option<u8> {
    is_token_program(&mint.owner).then(|| mint.data.get(MINT_DECIMALS_AT).copied()).flatten()
}

fn is_token_program(key: &Pubkey) -> bool {
    *key == TOKEN || *key == TOKEN_2022
}
