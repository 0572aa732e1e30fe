//! The private servers, started, used, killed and left, for real.
//! `cfg(test)` tells clippy that helper functions of tests are tests too.

#[cfg(test)]
mod disk;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod fhir;
#[cfg(test)]
mod mariadb;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod rabbitmq;
