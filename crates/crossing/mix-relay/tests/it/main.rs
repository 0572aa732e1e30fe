//! Tests of the relay between two private brokers, in this process and as the program.

// `cfg(test)` tells clippy that helpers outside of test functions are tests as well.
#[cfg(test)]
mod commands;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod units;
#[cfg(test)]
mod world;
