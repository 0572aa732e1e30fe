//! What `check` and `preview` tell before anything leaves, on real servers: dates and their zone,
//! what would be refused, and advice that can be followed.

mod away;
mod claims;
mod sample;
mod sources;
mod time_zone;
