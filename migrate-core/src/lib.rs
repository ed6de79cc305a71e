//! PostgreSQL schema migrations.
