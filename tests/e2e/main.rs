//! End to end on real servers, and the rules of the house.

#[cfg(test)]
mod cli;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod leak;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod python;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod support;
#[cfg(test)]
mod whole;
