//! Changes of names and rekeyed names behind their columns.

use contract::{Epoch, Scheme};
use sqlx::Error;

use super::rekey_statements::RekeyingRow;
use crate::store::columns::undecodable;
use crate::store::person_statements::NameValue;
use crate::store::rows::digest;

/// Columns of a change of names: epoch, check value, whether it is done.
type RekeyingColumns = (i32, Vec<u8>, bool);

/// Change of names behind its columns.
pub(in crate::store) fn rekeying_row(columns: RekeyingColumns) -> Result<RekeyingRow, Error> {
    let (to, check, is_finished) = columns;
    Ok(RekeyingRow {
        to: epoch(to)?,
        check: digest(&check)?,
        is_finished,
    })
}

/// Epoch behind its column.
pub(in crate::store) fn epoch(column: i32) -> Result<Epoch, Error> {
    column.try_into().map_err(|_| undecodable("epoch"))
}

/// Columns of a name with its scheme.
type SchemeColumns = (Vec<u8>, String);

/// Value and scheme behind their columns.
pub(in crate::store) fn scheme_row(columns: SchemeColumns) -> Result<(NameValue, Scheme), Error> {
    let (value, scheme) = columns;
    let scheme = scheme.parse().map_err(|_| undecodable("scheme"))?;
    Ok((digest(&value)?, scheme))
}

/// Columns of two names.
type PairColumns = (Vec<u8>, Vec<u8>);

/// Two values behind their columns.
pub(in crate::store) fn pair_row(columns: PairColumns) -> Result<(NameValue, NameValue), Error> {
    let (one, other) = columns;
    Ok((digest(&one)?, digest(&other)?))
}
