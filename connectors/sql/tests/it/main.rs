//! The connector against private servers and temporary files.

#[cfg(test)]
mod check;
#[cfg(test)]
mod clinic;
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
mod poisoned;
#[cfg(test)]
mod postgres;
mod raising;
#[cfg(test)]
mod sqlite;
mod stamps;
#[cfg(test)]
mod subject;
#[cfg(test)]
mod surprises;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tls;
