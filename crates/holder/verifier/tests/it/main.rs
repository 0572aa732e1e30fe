//! The program `pass` as it is run: arguments, files, standard input, exit codes, output.

mod city;
mod door;
mod hcert;
mod run;
