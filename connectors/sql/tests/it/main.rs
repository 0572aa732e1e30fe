//! The connector against private servers and temporary files.

#[cfg(test)]
mod advice;
#[cfg(test)]
mod change_queries;
#[cfg(test)]
mod check;
#[cfg(test)]
mod clinic;
#[cfg(test)]
mod collations;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod cutter;
#[cfg(test)]
mod events;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod listen;
#[cfg(test)]
mod mariadb;
#[cfg(test)]
mod named_records;
#[cfg(test)]
mod noticing;
#[cfg(test)]
mod odd_stamps;
#[cfg(test)]
mod other_server;
#[cfg(test)]
mod overlap;
#[cfg(test)]
mod poisoned;
#[cfg(test)]
mod pooler;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod proposal;
#[cfg(test)]
mod raising;
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod stamps;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod subject;
#[cfg(test)]
mod surprises;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod views;
#[cfg(test)]
mod whole;
