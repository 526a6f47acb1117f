//! `framefair credits`: what an account has, and how it came to that.

use serde_json::json;

use super::session::LoggedIn;
use crate::args::Credits;
use crate::exit::{Failure, plain};
use crate::hub::account::{Balance, Entry, History};
use crate::screen::Report;
use crate::table::columns;

const HEADS: [&str; 6] = ["DATE", "AMOUNT", "BALANCE", "SOURCE", "REFERENCE", "ENTRY"];
const WHAT: &str = "the credits could not be asked for";

pub(crate) async fn run(args: &Credits) -> Result<Report, Failure> {
    let mut here = LoggedIn::open(&args.session)?;
    let balance: Balance = here.ask(WHAT, &["credits", "balance"]).await?;
    let history: History = here.ask(WHAT, &["credits", "history"]).await?;
    let mut text = format!("{} has {} credits", here.session.email, plain(&balance.balance, 24));
    if let (Some(available), Some(held)) = (&balance.available, &balance.held) {
        text.push_str(&format!(", {} free and {} held", plain(available, 24), plain(held, 24)));
    }
    text.push_str("\n\n");
    text.push_str(&columns(HEADS, history.entries.iter().map(row).collect()));
    let more = history.count.saturating_sub(history.entries.len() as u64);
    if more > 0 {
        text.push_str(&format!("and {more} older ones\n"));
    }
    let entries: Vec<_> = history.entries.iter().map(document).collect();
    let document = json!({
        "ok": true, "email": here.session.email, "balance": balance.balance, "count": history.count,
        "entries": entries,
    });
    Ok(Report::new(text, &document))
}

fn row(entry: &Entry) -> [String; 6] {
    let sign = if entry.direction == "DEBIT" { "-" } else { "+" };
    [
        plain(&entry.created_at, 24),
        format!("{sign}{}", plain(&entry.amount, 24)),
        plain(&entry.balance_after, 24),
        plain(&entry.source, 12),
        plain(&entry.reference_id, 40),
        entry.entry_id.map_or_else(|| "?".to_owned(), |number| number.to_string()),
    ]
}

fn document(entry: &Entry) -> serde_json::Value {
    json!({
        "entry": entry.entry_id, "date": entry.created_at, "amount": entry.amount,
        "direction": entry.direction, "source": entry.source, "reference": entry.reference_id,
        "balance_after": entry.balance_after,
    })
}
