//! End to end on real servers, and the rules of the house.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod check;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod clinics;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod corrections;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod dummies;
#[cfg(test)]
mod export_files;
#[cfg(test)]
mod feeds;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod one_machine;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod plant;
#[cfg(test)]
mod put_back;
#[cfg(test)]
mod python;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod shots;
mod small_classes;
#[cfg(test)]
mod strong;
#[cfg(test)]
mod strong_outside;
#[cfg(test)]
mod strong_tls;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod truth;
#[cfg(test)]
mod whole;
