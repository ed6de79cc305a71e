//! Runs one statement of a script by itself on a shadow database, for a script that somebody stopped halfway.

use migrate_base::error::Result;

use super::Rehearsal;
use crate::runner::message::stepwise;
use crate::source::Script;

impl Rehearsal {
    /// Runs one statement of a script by itself, with the settings of the statements before it.
    ///
    /// # Errors
    ///
    /// [`migrate_base::error::ErrorKind::Statement`] with the server's message; nothing of the statement is done then.
    pub async fn statement(&mut self, script: &Script, at: usize) -> Result<()> {
        let statement = &script.statements()[at];
        let (text, mut prepare) = (&script.text()[statement.span.clone()], stepwise::prepare(script, at));
        let messages = match statement.class.is_run_alone() {
            true => vec![prepare, text.to_owned()],
            false => {
                prepare += &stepwise::local(script, at);
                vec![format!("BEGIN; {prepare} {text};\n{} COMMIT", self.guard())]
            }
        };
        let mut outcome = Ok(());
        for message in messages.iter().filter(|message| !message.is_empty()) {
            if outcome.is_ok() {
                outcome = self.query(message).await.map(drop);
            }
        }
        // If this fails too, the session is gone, and the next message reports it.
        let _ = self.session.send(&format!("ROLLBACK; {}", self.settings.isolate())).await;
        outcome
    }
}
