//! Whole runs. One program, so that it is linked once and a run that several tests only read is made once.

mod bad_input;
mod bpe;
mod build;
mod common_crawl;
mod dedup;
mod executors;
mod explore;
mod extract_command;
mod fasttext;
mod fetch;
mod fetch_build;
mod fetch_hostile;
mod fetch_polite;
mod language_share;
mod laws;
mod object_storage;
mod overlap;
mod peers;
mod pins;
mod quickstart;
mod readme;
mod real_data;
mod recipe_keys;
mod recipes;
mod rules;
mod sources;
