//! `rotary demo`, from its first line to its last.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::client::Ask;
use crate::http::view::NewKeyView;
use crate::telemetry;

use super::scene::Scene;
use super::tour;

/// What happens after the sample calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// The demo stays, for somebody to try it by hand, until SIGINT or SIGTERM.
    Stay,
    /// It ends.
    Leave,
}

/// Shows Rotary at work and leaves nothing behind. What it tells goes to `out`, its log to
/// standard error.
///
/// # Errors
/// Something could not be set up, or a call or a count went otherwise than it must.
pub async fn run(afterwards: Afterwards, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    telemetry::start(&telemetry::Settings { level: "warn".to_owned(), ..Default::default() })?;
    let interrupted = interruption()?;
    let scene = Scene::set_up().await.context("set the demo up")?;

    let shown = tokio::select! {
        shown = show(&scene, out) => shown.map(|()| afterwards),
        () = interrupted => Ok(Afterwards::Leave),
    };
    match shown {
        Ok(Afterwards::Stay) => {
            offer(&scene, out).await?;
            let code = scene.stay().await;
            writeln!(out, "\nThe demo is over; nothing is left of it.")?;
            code
        }
        Ok(Afterwards::Leave) => {
            scene.strike().await;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            scene.strike().await;
            Err(error)
        }
    }
}

async fn show(scene: &Scene, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "Rotary with a simulated Asterisk. All of it is gone when this ends.\n")?;
    writeln!(out, "  Asterisk (simulated)  {}", scene.asterisk)?;
    writeln!(out, "  HTTP                  http://{}", scene.http())?;
    writeln!(out, "  control socket        {}", scene.socket().display())?;
    writeln!(out, "  database              {}\n", scene.directory().join("rotary.db").display())?;

    tour::import(&scene.client, out).await.context("import the sample numbers")?;
    writeln!(out)?;
    tour::calls(&scene.client, out).await.context("place the sample calls")?;
    writeln!(out)?;
    tour::numbers(&scene.client, out).await.context("count the uses")?;
    out.flush()?;
    Ok(())
}

/// Tells what can be tried by hand, ready to be copied.
async fn offer(scene: &Scene, out: &mut dyn Write) -> anyhow::Result<()> {
    let key = json!({"role": "operator", "label": "rotary demo"});
    let key: NewKeyView = tour::send(&scene.client, Ask::post("/api/keys", &key)).await?;
    let rotary = format!("{} --socket {}", quoted(&program()), quoted(scene.socket()));
    let (socket, http) = (quoted(scene.socket()), scene.http());
    let key = key.key.expose_secret();

    writeln!(
        out,
        "
It goes on until you press Ctrl-C. In another terminal:

  {rotary} call +14155550199 --wait end
  {rotary} dids list
  {rotary} status
  curl --unix-socket {socket} http://rotary/api/asterisk-dids/next-available
  curl -H 'Authorization: Bearer {key}' http://{http}/api/calls
  curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
       -d '{{\"to\": \"+14155550486\"}}' http://{http}/api/calls

The end of the number you call decides what becomes of the call: 0486 is busy, 0180 never
answers, 0503 has no circuit, 0404 does not exist, 0603 declines, any other answers."
    )?;
    out.flush()?;
    Ok(())
}

/// Waits for SIGINT or SIGTERM, from now on.
fn interruption() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// How this program was called, from where we are if that is shorter.
fn program() -> PathBuf {
    let Ok(program) = std::env::current_exe() else { return PathBuf::from("rotary") };
    let here = std::env::current_dir().unwrap_or_default();
    match program.strip_prefix(&here) {
        Ok(below) => Path::new(".").join(below),
        Err(_) => program,
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted(Path::new("/tmp/demo-1/control.sock")), "/tmp/demo-1/control.sock");
        assert_eq!(quoted(Path::new("/my dir/it's")), r"'/my dir/it'\''s'");
    }
}
