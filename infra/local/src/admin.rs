//! `framefair-local admin`: what an operator types, and what is printed of it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use framefair_app::account::Role;
use framefair_domain::id::{JobId, ProviderId};
use framefair_local::{Books, admit, appoint, credit, dead_letters, redrive, set_price};
use uuid::Uuid;

#[derive(Subcommand)]
pub(crate) enum Admin {
    /// Give an account a role; an account that is missing is made, with a password that is shown once.
    Create {
        email: String,
        #[arg(long, value_enum, default_value = "user")]
        role: RoleName,
        /// Give an account that is there a new password, which is shown once, and end its sessions.
        #[arg(long)]
        reset_password: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Add credits to an account: an adjustment that its history shows.
    Credit {
        email: String,
        /// Such as 100 or 0.5; at most four decimals.
        amount: String,
        /// Which of a person's accounts.
        #[arg(long, default_value = "creator", value_parser = ["creator"])]
        account: String,
        /// Names this adjustment: with the same name it happens once, however often it is asked for.
        #[arg(long)]
        reference: Option<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Let a node take the jobs of others, where nodes are looked at before they may.
    Admit {
        /// The node's id, as it was told when it registered.
        node: ProviderId,
        /// Take that back: it gets no new jobs.
        #[arg(long)]
        withdraw: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Set what a job of a type costs from now on.
    Price {
        /// Such as render or cpu_benchmark.
        job_type: String,
        /// In credits, such as 10 or 0.5; at most four decimals.
        amount: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// List the jobs that were given up after their last attempt, the oldest first.
    DeadLetters {
        #[command(flatten)]
        whose: Whose,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Dispatch a job that was given up once more, as a new one.
    Redrive {
        job: JobId,
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum RoleName {
    User,
    Operator,
    Admin,
}

/// Whose books.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// The folder that framefair-local was started with; it may be running.
    #[arg(long)]
    data: Option<PathBuf>,
    /// A deployment in the cloud, found by the variables that its functions have.
    #[arg(long)]
    deployed: bool,
}

impl From<Whose> for Books {
    fn from(whose: Whose) -> Books {
        whose.data.map_or(Books::Deployed, Books::Folder)
    }
}

pub(crate) async fn administer(action: Admin) -> Result<ExitCode> {
    match action {
        Admin::Create { email, role, reset_password, whose } => {
            let role = match role {
                RoleName::User => Role::User,
                RoleName::Operator => Role::Operator,
                RoleName::Admin => Role::Admin,
            };
            let made = appoint(&whose.into(), email, role, reset_password).await?;
            println!("account   {}", made.user.email);
            println!("id        {}", made.user.id);
            if let Some(password) = made.password {
                println!("password  {password}   (shown once)");
            }
        }
        Admin::Credit { email, amount, account: _, reference, whose } => {
            // Told first: whoever loses the answer asks again by the same name, and it happens once.
            let reference = reference.unwrap_or_else(|| Uuid::new_v4().to_string());
            println!("reference {reference}");
            let entry = credit(&whose.into(), &email, &amount, reference).await?;
            println!("credited  {} to {email}, who has {} now", entry.amount, entry.balance_after);
        }
        Admin::Admit { node, withdraw, whose } => {
            admit(&whose.into(), node, !withdraw).await?;
            let may = if withdraw { "gets no new jobs" } else { "may take the jobs of others" };
            println!("node      {node} {may}");
        }
        Admin::Price { job_type, amount, whose } => {
            let price = set_price(&whose.into(), &job_type, &amount).await?;
            println!("price     {price} credits for a {job_type} from now on");
        }
        Admin::DeadLetters { whose, json } => print_letters(&whose.into(), json).await?,
        Admin::Redrive { job, whose } => {
            let placed = redrive(&whose.into(), job).await?;
            println!("job       {}", placed.job);
            println!("node      {}", placed.node);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn print_letters(books: &Books, json: bool) -> Result<()> {
    let letters = dead_letters(books).await?;
    if json {
        let letters: Vec<_> = letters
            .iter()
            .map(|letter| {
                serde_json::json!({
                    "job_id": letter.job, "original_payload": letter.payload,
                    "error_history": letter.errors, "failed_at": letter.failed.to_rfc3339(),
                    "retry_count": letter.retries,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&letters)?);
        return Ok(());
    }
    for letter in &letters {
        let last = letter.errors.last().map_or("nobody took it", String::as_str);
        println!(
            "{}  {}  {} retries: {last}",
            letter.failed.to_rfc3339(),
            letter.job,
            letter.retries
        );
    }
    if letters.is_empty() {
        println!("no job was given up");
    }
    Ok(())
}
