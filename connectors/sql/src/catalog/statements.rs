//! Statements that list tables, columns and keys, in each database's own catalogue. Every cell is a
//! text.

use super::{MAX_COLUMNS, MAX_KEY_PARTS, MAX_TABLES};

/// Statements of one kind of database.
pub(super) struct Statements {
    /// Rows of schema, table, `table` or `view`, estimate of rows, and `yes` or `no` for: it may be
    /// read, its name needs no schema.
    pub tables: String,
    /// Rows of schema, table, column, type, and `yes` or `no` for: it may be NULL.
    pub columns: String,
    /// Rows of schema, table, `primary`, `foreign`, `index` or `unique`, name, column, and of a foreign key
    /// schema, table and column that it refers to; in the order of a key's columns.
    pub keys: String,
}

/// Statements of a kind of database; of one schema alone where it is named, of one table of a file.
pub(super) fn of(kind: &str, part: Option<&str>) -> Statements {
    let only = |column: &str| {
        part.map_or_else(String::new, |part| {
            format!(" AND {column} = {}", quoted(kind, part))
        })
    };
    match kind {
        "postgres" => postgres(&only("n.nspname")),
        "mysql" => mysql(&only("TABLE_SCHEMA")),
        _ => sqlite(&only("m.name")),
    }
}

/// Statement that lists the parts that a catalogue can be read in: schemas, or tables of a file.
pub(super) fn parts(kind: &str) -> String {
    match kind {
        "postgres" => format!(
            "SELECT n.nspname::text FROM pg_catalog.pg_namespace AS n WHERE {POSTGRES_SCHEMAS} \
             ORDER BY 1 LIMIT {MAX_TABLES}"
        ),
        "mysql" => format!(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME {MYSQL_OWN} \
             ORDER BY 1 LIMIT {MAX_TABLES}"
        ),
        _ => format!(
            "SELECT m.name FROM sqlite_master AS m WHERE {SQLITE_TABLES} ORDER BY 1 LIMIT \
             {MAX_TABLES}"
        ),
    }
}

/// Name as a literal of SQL.
fn quoted(kind: &str, name: &str) -> String {
    let doubled = name.replace('\'', "''");
    match kind {
        // Outside of NO_BACKSLASH_ESCAPES a backslash begins an escape.
        "mysql" => format!("'{}'", doubled.replace('\\', "\\\\")),
        _ => format!("'{doubled}'"),
    }
}

/// Own tables, whatever their schema; a partition is part of its table.
const POSTGRES_TABLES: &str = "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON \
    n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition";

/// Schemas that are not the server's own.
const POSTGRES_SCHEMAS: &str = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND \
    n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'";

fn postgres(only: &str) -> Statements {
    let tables = format!("{POSTGRES_TABLES} AND {POSTGRES_SCHEMAS}{only}");
    let own = format!("SELECT c.oid {tables}");
    Statements {
        tables: format!(
            "SELECT n.nspname::text, c.relname::text, CASE WHEN c.relkind IN ('v', 'm') THEN \
             'view' ELSE 'table' END::text, CASE WHEN c.relkind NOT IN ('v', 'f') AND c.reltuples \
             >= 0 THEN c.reltuples::bigint::text END, CASE WHEN has_schema_privilege(n.oid, \
             'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') THEN 'yes' ELSE 'no' \
             END::text, \
             CASE WHEN pg_table_is_visible(c.oid) THEN 'yes' ELSE 'no' END::text {tables} \
             ORDER BY 1, 2 LIMIT {}",
            MAX_TABLES + 1
        ),
        columns: format!(
            "SELECT n.nspname::text, c.relname::text, a.attname::text, CASE t.typtype WHEN 'e' \
             THEN 'enum' WHEN 'd' THEN format_type(t.typbasetype, NULL) ELSE format_type(t.oid, \
             NULL) END::text, CASE WHEN a.attnotnull THEN 'no' ELSE 'yes' END::text FROM \
             pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid JOIN \
             pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type AS t \
             ON \
             t.oid = a.atttypid WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid IN ({own}) AND \
             has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY 1, 2, a.attnum LIMIT {}",
            MAX_COLUMNS + 1
        ),
        keys: format!(
            "SELECT schema_name, table_name, kind, key_name, column_name, of_schema, of_table, \
             of_column FROM (SELECT n.nspname::text AS schema_name, c.relname::text AS table_name, \
             CASE k.contype WHEN 'p' THEN 'primary' ELSE 'foreign' END::text AS kind, \
             k.conname::text AS key_name, u.place, a.attname::text AS column_name, \
             rn.nspname::text \
             AS of_schema, r.relname::text AS of_table, ra.attname::text AS of_column FROM \
             pg_catalog.pg_constraint AS k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH \
             ORDINALITY AS u (number, of_number, place) JOIN pg_catalog.pg_class AS c ON c.oid = \
             k.conrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace JOIN \
             pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = u.number LEFT JOIN \
             pg_catalog.pg_class AS r ON r.oid = k.confrelid LEFT JOIN pg_catalog.pg_namespace AS \
             rn ON rn.oid = r.relnamespace LEFT JOIN pg_catalog.pg_attribute AS ra ON \
             ra.attrelid = \
             r.oid AND ra.attnum = u.of_number WHERE k.contype IN ('p', 'f') AND c.oid IN ({own}) \
             UNION ALL SELECT n.nspname::text, c.relname::text, CASE WHEN x.indisunique THEN \
             'unique' ELSE 'index' END::text, i.relname::text, \
             u.place, coalesce(a.attname, '')::text, NULL::text, NULL::text, NULL::text FROM \
             pg_catalog.pg_index AS x CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY \
             AS u (number, place) JOIN pg_catalog.pg_class AS c ON c.oid = x.indrelid JOIN \
             pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_catalog.pg_class AS i \
             ON i.oid = x.indexrelid LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid \
             AND a.attnum = u.number AND u.number > 0 WHERE x.indisvalid AND x.indpred IS NULL AND \
             c.oid IN ({own})) AS keys ORDER BY schema_name, table_name, kind, key_name, place \
             LIMIT {}",
            MAX_KEY_PARTS + 1
        ),
    }
}

/// The database that the address names: another one, such as a copy, is none of the clinic's.
const MYSQL_OWN: &str = "= DATABASE()";

fn mysql(only: &str) -> Statements {
    let own = format!("{MYSQL_OWN}{only}");
    Statements {
        tables: format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, CASE WHEN TABLE_TYPE LIKE '%VIEW%' THEN 'view' ELSE \
             'table' END, CAST(TABLE_ROWS AS CHAR(20)), 'yes', CASE WHEN TABLE_SCHEMA = DATABASE() \
             THEN 'yes' ELSE 'no' END FROM information_schema.TABLES WHERE TABLE_SCHEMA \
             {own} ORDER BY TABLE_SCHEMA, TABLE_NAME LIMIT {}",
            MAX_TABLES + 1
        ),
        columns: format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CASE WHEN IS_NULLABLE = \
             'YES' THEN 'yes' ELSE 'no' END FROM information_schema.COLUMNS WHERE TABLE_SCHEMA \
             {own} AND PRIVILEGES LIKE '%select%' ORDER BY TABLE_SCHEMA, TABLE_NAME, \
             ORDINAL_POSITION LIMIT {}",
            MAX_COLUMNS + 1
        ),
        keys: format!(
            "SELECT s, t, kind, k, c, rs, rt, rc FROM (SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, \
             'foreign' AS kind, CONSTRAINT_NAME AS k, ORDINAL_POSITION AS place, COLUMN_NAME AS c, \
             REFERENCED_TABLE_SCHEMA AS rs, REFERENCED_TABLE_NAME AS rt, REFERENCED_COLUMN_NAME AS \
             rc FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA {own} AND \
             REFERENCED_TABLE_NAME IS NOT NULL UNION ALL SELECT TABLE_SCHEMA, TABLE_NAME, CASE \
             WHEN \
             INDEX_NAME = 'PRIMARY' THEN 'primary' WHEN NON_UNIQUE = 0 THEN 'unique' ELSE 'index' END, INDEX_NAME, SEQ_IN_INDEX, \
             CASE \
             WHEN SUB_PART IS NULL THEN COALESCE(COLUMN_NAME, '') ELSE '' END, NULL, NULL, NULL \
             FROM information_schema.STATISTICS WHERE TABLE_SCHEMA {own}) AS parts ORDER BY \
             s, t, kind, k, place LIMIT {}",
            MAX_KEY_PARTS + 1
        ),
    }
}

/// Tables and views of a file that are not SQLite's own.
const SQLITE_TABLES: &str =
    "m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

fn sqlite(only: &str) -> Statements {
    let own = format!("{SQLITE_TABLES}{only}");
    Statements {
        tables: format!(
            "SELECT '', m.name, m.type, NULL, 'yes', 'yes' FROM sqlite_master AS m WHERE {own} \
             ORDER BY m.name LIMIT {}",
            MAX_TABLES + 1
        ),
        columns: format!(
            "SELECT '', m.name, c.name, c.type, CASE WHEN c.\"notnull\" = 0 AND c.pk = 0 THEN \
             'yes' ELSE 'no' END FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE \
             {own} ORDER BY m.name, c.cid LIMIT {}",
            MAX_COLUMNS + 1
        ),
        keys: format!(
            "SELECT '', t, kind, k, coalesce(c, ''), '', rt, rc FROM (SELECT m.name AS t, \
             'primary' AS kind, 'primary' AS k, c.pk AS place, c.name AS c, NULL AS rt, NULL AS rc \
             FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' \
             AND \
             c.pk > 0 AND {own} UNION ALL SELECT m.name, 'foreign', CAST(f.id AS TEXT), f.seq, \
             f.\"from\", f.\"table\", f.\"to\" FROM sqlite_master AS m JOIN \
             pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' AND {own} UNION ALL \
             SELECT \
             m.name, CASE WHEN l.\"unique\" THEN 'unique' ELSE 'index' END, l.name, i.seqno, i.name, NULL, NULL FROM sqlite_master AS m JOIN \
             pragma_index_list(m.name) AS l JOIN pragma_index_info(l.name) AS i WHERE m.type = \
             'table' AND l.partial = 0 AND {own}) ORDER BY t, kind, k, place LIMIT {}",
            MAX_KEY_PARTS + 1
        ),
    }
}
