//! `framefair login`: a session at a hub, for the commands that need one.

use std::io::{BufRead, IsTerminal};

use serde_json::json;

use super::session::Session;
use crate::args::Login;
use crate::exit::{Exit, Failure};
use crate::hub::Hub;
use crate::screen::Report;

const PASSWORD: &str = "FRAMEFAIR_PASSWORD";

pub(crate) async fn run(args: &Login) -> Result<Report, Failure> {
    let hub = Hub::new(args.hub.hub.clone())?;
    if hub.url.is_open_to_others() {
        let why = "on the way to this hub anybody could read it";
        return Err(Failure::new(Exit::Usage, "the password is not sent", why)
            .hint("Use the hub's https address."));
    }
    let password = password()?;
    let tokens = match args.register {
        true => hub.register(&args.email, args.name.as_deref(), &password).await,
        false => hub.login(&args.email, &password).await,
    };
    let tokens = tokens.map_err(|error| {
        let failure = error.failure("nobody is logged in", &hub.url);
        match error.status() {
            Some(401) => failure.hint("A new account is made with --register."),
            Some(409) => failure.hint("Log in without --register."),
            _ => failure,
        }
    })?;
    let file = args.session.file()?;
    Session::new(&hub, &args.email, tokens).save(&file)?;
    let document =
        json!({ "ok": true, "email": args.email, "hub": hub.url.to_string(), "session": file });
    let text = format!("{} is logged in at {}", args.email, hub.url);
    Ok(Report::new(text, &document))
}

/// From the environment, from the terminal without showing it, or the first line of what is piped in.
fn password() -> Result<String, Failure> {
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(password);
    }
    let read = match std::io::stdin().is_terminal() {
        true => rpassword::prompt_password("Password: "),
        false => {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            read.map(|_| line.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    let hint = format!("Type it, pipe it in, or set {PASSWORD}.");
    match read {
        Ok(password) if !password.is_empty() => Ok(password),
        Ok(_) => Err(Failure::new(Exit::Usage, "no password was given", "").hint(hint)),
        Err(error) => {
            Err(Failure::new(Exit::Usage, "the password could not be read", error).hint(hint))
        }
    }
}
