//! End to end on real servers, and the rules of the house.

#[cfg(test)]
mod imports;
#[cfg(test)]
mod leak;
#[cfg(test)]
mod python;
#[cfg(test)]
mod support;
#[cfg(test)]
mod whole;
