//! Databases that are reused for one case after another: the queries that read them are planned once, and a
//! case leaves a database as it found it.

use std::sync::{Mutex, PoisonError};

use migrate_base::db::ReadOnlySession;
use migrate_core::Database;
use migrate_schema::ddl::{self, Ddl, DdlStage, DdlStyle};
use migrate_schema::{self as schema, SchemaChange, SchemaDescription, Watcher};
use migrate_test::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{SIDES, between, cannot_be_said};
use crate::support::connect;

/// After this many cases a database is full of dead catalog rows, which every look at it has to skip.
pub(crate) const WORN: usize = 25;

/// A database, with a session that changes it and one that reads it.
pub(crate) struct Seat {
    pub(crate) database: TestDatabase,
    pub(crate) session: PgConnection,
    pub(crate) reader: ReadOnlySession,
    /// The watcher of its schema, once it has been requested.
    watcher: Option<Watcher>,
    /// How many cases it has been used for.
    cases: usize,
}

impl Seat {
    /// An empty database.
    pub(crate) async fn new() -> Self {
        Self::of(TestDatabase::create().await.unwrap()).await
    }

    pub(crate) async fn of(database: TestDatabase) -> Self {
        let session = connect(&database).await;
        let reader = ReadOnlySession::open_own(&Database::from(database.options())).await.unwrap();
        Self { database, session, reader, watcher: None, cases: 0 }
    }

    pub(crate) async fn end(self) {
        self.session.close().await.unwrap();
        self.reader.close().await;
        if let Some(watcher) = self.watcher {
            watcher.close().await;
        }
        self.database.drop_now().await.unwrap();
    }

    pub(crate) async fn describe(&mut self) -> SchemaDescription {
        schema::describe_with(&mut self.reader).await.unwrap()
    }

    /// The watcher of the schema, created on the first call.
    pub(crate) async fn watcher(&mut self) -> &mut Watcher {
        if self.watcher.is_none() {
            self.watcher = Some(Watcher::open(&Database::from(self.database.options())).await.unwrap());
        }
        self.watcher.as_mut().unwrap()
    }

    /// Runs statements; returns the server's error if it refuses them.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.session).await.map(drop)
    }

    /// Runs the statements of a case, and leaves nothing of them in the session.
    pub(crate) async fn make(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let made = self.run(sql).await;
        self.run("ROLLBACK").await?;
        self.run("DISCARD ALL").await?;
        made
    }

    /// Runs a script as one transaction.
    pub(crate) async fn apply(&mut self, ddl: &Ddl) -> Result<(), String> {
        let script = ddl.script(DdlStage::Main);
        self.run(&format!("BEGIN;\n{script}COMMIT;")).await.map_err(|error| format!("{error}\n{script}"))
    }

    /// Runs the statements from the current schema to another one; returns the resulting schema, or what is
    /// wrong with it.
    pub(crate) async fn leads(
        &mut self,
        from: &SchemaDescription,
        to: &SchemaDescription,
    ) -> Result<SchemaDescription, String> {
        let ddl = between(from, to)?;
        self.apply(&ddl).await?;
        let made = self.describe().await;
        let change = SchemaChange::between(&ddl::unowned(&to.schema), &ddl::unowned(&made.schema));
        let told: Vec<_> = change.sentences(SIDES).into_iter().filter(|text| !cannot_be_said(text)).collect();
        if told.is_empty() { Ok(made) } else { Err(format!("{}\n{}", told.join("\n"), ddl.script(DdlStage::Main))) }
    }
}

/// Databases with the same schema.
pub(crate) struct Seats {
    base: TestDatabase,
    /// The schema.
    pub(crate) before: SchemaDescription,
    free: Mutex<Vec<Seat>>,
}

impl Seats {
    /// Databases with what these statements create.
    pub(crate) async fn with(sql: &str) -> Self {
        let base = TestDatabase::create().await.unwrap();
        let mut seat = Seat::of(base).await;
        seat.make(sql).await.unwrap();
        let before = seat.describe().await;
        // A database that is copied must have no sessions.
        let Seat { database: base, session, reader, .. } = seat;
        session.close().await.unwrap();
        reader.close().await;
        Self { base, before, free: Mutex::default() }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Seat>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn take(&self) -> Seat {
        let free = self.free().pop();
        match free {
            Some(seat) => seat,
            None => Seat::of(TestDatabase::copy_of(self.base.name()).await.unwrap()).await,
        }
    }

    /// Returns a database whose schema is `now`. It is reused if the statements back to the common initial
    /// schema lead there.
    pub(crate) async fn give_back(&self, mut seat: Seat, now: &SchemaDescription) {
        seat.cases += 1;
        if seat.cases < WORN && self.is_as_before(&mut seat, now).await {
            self.free().push(seat);
        } else {
            seat.end().await;
        }
    }

    /// Whether the schema is the common initial one, if necessary after running the statements that lead back
    /// to it.
    async fn is_as_before(&self, seat: &mut Seat, now: &SchemaDescription) -> bool {
        if now.schema == self.before.schema {
            return true;
        }
        let back = ddl::between(now, &self.before, DdlStyle::Whole);
        if seat.apply(&back).await.is_err() {
            return false;
        }
        let is_back = seat.describe().await.schema == self.before.schema;
        if let Some(watcher) = seat.watcher.as_mut().filter(|_| is_back) {
            watcher.look().await.unwrap();
            assert_eq!(
                SchemaChange::between(&self.before.schema, watcher.schema()).to_string(),
                "",
                "the way back is watched"
            );
        }
        is_back
    }

    pub(crate) async fn end(self) {
        let seats = std::mem::take(&mut *self.free());
        for seat in seats {
            seat.end().await;
        }
        self.base.drop_now().await.unwrap();
    }
}
