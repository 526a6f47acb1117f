//! Shows an offer and asks whether to pay it. Decides nothing by itself.

use std::io::{BufRead, IsTerminal, Write};

use framefair_domain::money::Lamports;
use serde_json::json;

use crate::clock;
use crate::exit::{Exit, Failure, plain};
use crate::hub::{Hub, Offer};
use crate::screen::Screen;

/// The price and what it is made of, who gets it, who renders, until when.
pub(crate) async fn show(hub: &Hub, offer: &Offer, screen: &Screen) {
    let provider = provider(hub, offer).await;
    let parts = &offer.breakdown;
    let seconds = (offer.expires_at - clock::now().0) / 1000;
    let row =
        |what: &str, lamports: Lamports| format!("  {what:<22}{:>14} SOL\n", lamports.to_sol());
    let mut text = format!("Job {}\n", offer.job_id);
    text.push_str(&row("scene's size", parts.file_size_fee.0));
    text.push_str(&row("frames", parts.frame_fee.0));
    text.push_str(&row("estimated rendering", parts.estimated_render_fee.0));
    text.push_str(&row("provider's price", parts.base_price.0));
    text.push_str(&row("platform's fee", parts.platform_fee.0));
    text.push_str(&row("to pay", parts.total.0));
    text.push_str(&format!("  to     {}\n", offer.pay_to));
    if let Some((id, name)) = &provider {
        text.push_str(&format!("  from   {name} ({id})\n"));
    }
    text.push_str(&format!("  valid  {} min {} s more", seconds / 60, seconds % 60));
    let json = json!({
        "job": offer.job_id,
        "price": offer.price.0.to_sol(),
        "lamports": offer.price.0.0.to_string(),
        "basePrice": parts.base_price.0.to_sol(),
        "fileSizeFee": parts.file_size_fee.0.to_sol(),
        "frameFee": parts.frame_fee.0.to_sol(),
        "estimatedRenderFee": parts.estimated_render_fee.0.to_sol(),
        "platformFee": parts.platform_fee.0.to_sol(),
        "payTo": offer.pay_to,
        "provider": provider.as_ref().map(|(id, _)| id),
        "providerName": provider.as_ref().map(|(_, name)| name),
        "expiresAt": offer.expires_at,
    });
    screen.tell("quote", &text, json);
}

/// The offer does not name the provider, the job does. Good to know, and not worth failing for.
async fn provider(hub: &Hub, offer: &Offer) -> Option<(String, String)> {
    let (job, _) = hub.job(offer.job_id, offer.access_token.as_deref()).await.ok()?;
    let id = job.provider_id?;
    let name =
        hub.provider(id).await.map_or_else(|_| "a provider".to_owned(), |p| plain(&p.name, 60));
    Some((id.to_string(), name))
}

/// Asks on the terminal. Whoever is not at one has to have said yes before.
pub(crate) async fn consent(price: Lamports, jobs: usize) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::PriceDeclined, "nobody agreed to the price", "there is no terminal to ask on")
            .hint("Nothing was paid. Add --yes, best together with --max-price, to pay without being asked."));
    }
    let asked = tokio::task::spawn_blocking(move || {
        let mut stderr = std::io::stderr().lock();
        match jobs {
            1 => write!(stderr, "Pay {price}? [y/N] ")?,
            _ => write!(stderr, "Pay {price} for {jobs} jobs? [y/N] ")?,
        }
        stderr.flush()?;
        drop(stderr);
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    });
    let answer = match asked.await {
        Ok(Ok(answer)) => answer,
        // A terminal that is gone says no.
        Ok(Err(_)) | Err(_) => String::new(),
    };
    if is_yes(&answer) {
        Ok(())
    } else {
        Err(Failure::new(Exit::PriceDeclined, "the price was declined", "you did not say yes")
            .hint("Nothing was paid."))
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_pays() {
        for yes in ["y\n", "Y", " yes \n", "YES"] {
            assert!(is_yes(yes), "{yes}");
        }
        for no in ["", "\n", "n", "no", "yess", "ja", "1", "y n"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
