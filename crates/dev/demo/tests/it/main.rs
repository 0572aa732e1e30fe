//! The demo as its reader runs it: the program itself, in a folder of the test.

#[cfg(test)]
mod played;
