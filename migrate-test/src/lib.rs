//! PostgreSQL servers for development and tests.
