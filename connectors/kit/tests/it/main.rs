//! The conformance suite itself: it passes a right connector, and catches each of the wrong ones.

#[cfg(test)]
mod catches;
#[cfg(test)]
mod connector;
#[cfg(test)]
mod source;
