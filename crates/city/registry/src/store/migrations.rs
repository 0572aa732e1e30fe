//! Migrations of the store's schema, compiled into the program.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Migration of the schema; its version is its place in the list, from 1.
pub(super) struct MigrationFile {
    /// Description, kept in the database.
    pub name: &'static str,
    /// Statements.
    pub sql: &'static str,
}

/// Migrator over `files`, in their order.
pub(super) fn migrator(files: &[MigrationFile]) -> Migrator {
    let migrations = (1..).zip(files).map(|(version, file)| {
        Migration::new(
            version,
            file.name.into(),
            MigrationType::Simple,
            file.sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}
