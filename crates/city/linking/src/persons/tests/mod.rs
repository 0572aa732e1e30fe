//! Tests of the rules about persons.

mod city;
mod decisions;
mod examples;
mod laws;
mod limits;
mod reference;
