//! Speed of rules on one thread, by default FineWeb's: `speed TEXTS.jsonl [RULE[,RULE]…]`.
//!
//! Prints megabytes (10⁶ bytes) of text per second of CPU time of the thread, which other load changes little (elsewhere
//! than on Linux, of elapsed time): the median of five passes. Then how many texts each rule would drop alone.

#[path = "../../../benches/support/cpu_time.rs"]
mod cpu_time;

use std::io::BufRead;

use cpu_time::median_seconds;
use filter::{
    About, C4Dialect, C4Quality, Filter, FineWebQuality, GopherDialect, GopherQuality, GopherRepetition, Pii,
    RedPajamaSignals, RefinedWebLines, RuleSettings,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: speed TEXTS.jsonl [RULE[,RULE]…]")?;
    let names = arguments.next().unwrap_or("gopher_repetition,gopher_quality,c4_quality,fineweb_quality".to_owned());
    let rules: Vec<RuleSettings> = names.split(',').map(rule).collect::<Result<_, _>>()?;
    let filter = Filter::new(&rules)?;
    let mut texts = Vec::new();
    for line in std::io::BufReader::new(std::fs::File::open(path)?).lines() {
        let row: serde_json::Value = serde_json::from_str(&line?)?;
        texts.extend(row["text"].as_str().map(str::to_owned));
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut dropped = vec![0; rules.len()];
    let seconds = median_seconds(|| {
        dropped.fill(0);
        for text in &texts {
            let judgement = filter.judge(text, About::default());
            for (count, failure) in dropped.iter_mut().zip(&judgement.failures) {
                *count += usize::from(failure.is_some());
            }
        }
    });
    println!("{} texts, {:.1} MB: {:.1} MB/s", texts.len(), bytes as f64 / 1e6, bytes as f64 / 1e6 / seconds);
    for (rule, dropped) in rules.iter().zip(dropped) {
        println!("{}: {dropped} dropped", rule.name());
    }
    Ok(())
}

fn rule(name: &str) -> Result<RuleSettings, String> {
    let c4 = C4Quality { require_terminal_punctuation: false, ..C4Quality::of_dialect(C4Dialect::Datatrove0_10) };
    Ok(match name {
        "gopher_repetition" => RuleSettings::GopherRepetition(GopherRepetition::default()),
        "gopher_quality" => RuleSettings::GopherQuality(GopherQuality::default()),
        "c4_quality" => RuleSettings::C4Quality(c4),
        "gopher_repetition:dclm" => RuleSettings::GopherRepetition(GopherRepetition {
            dialect: GopherDialect::Dclm,
            ..GopherRepetition::default()
        }),
        "gopher_quality:dclm" => {
            RuleSettings::GopherQuality(GopherQuality { dialect: GopherDialect::Dclm, ..GopherQuality::default() })
        }
        "redpajama_signals" => RuleSettings::RedPajamaSignals(RedPajamaSignals::default()),
        "refinedweb_lines" => RuleSettings::RefinedWebLines(RefinedWebLines::default()),
        "fineweb_quality" => RuleSettings::FineWebQuality(FineWebQuality::default()),
        "pii" => RuleSettings::Pii(Pii::default()),
        _ => return Err(format!("there is no rule {name:?} here")),
    })
}
