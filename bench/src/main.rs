//! Measures the functions as Lambda runs them, side by side with a bare one in Rust and equivalents in Python and
//! Node, and writes what it found as JSON.
//!
//! Every subject is a process that asks a runtime API of this program for its invocations and talks over TLS to this
//! program's stub of AWS: at full speed, with the share of a core that the template's memory gets, and those in Rust
//! with the shares of other sizes of memory, too.

mod aws_stub;
mod pages;
mod runtime_api;
mod subject;

use std::error::Error;
use std::path::Path;

use serde::Serialize;

use crate::aws_stub::AwsStub;
use crate::pages::Pages;
use crate::subject::{Cgroup, Process, Subject, Variant};

/// The memory with which a function gets one whole virtual processor.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const MEMORY_OF_ONE_CORE_MB: f64 = 1_769.0;
/// The sizes of memory among which the template chooses.
const SIZES_MB: [u32; 5] = [128, 256, 512, 1_024, 1_769];
/// After how many invocations a function's memory is read the second time, and the first time: it must not grow between.
const MANY: usize = 10_000;
const WARMED_UP: usize = 1_000;

/// Everything that the report is made of.
#[derive(Serialize)]
struct Results {
    cores: usize,
    memory_mb: u32,
    cores_when_limited: f64,
    subjects: Vec<SubjectResults>,
    sizes: Option<Sizes>,
    pages: Option<Pages>,
}

/// The figures of the functions in Rust with each size of memory.
#[derive(Serialize)]
struct Sizes {
    cores: usize,
    rows: Vec<SizeResults>,
}

#[derive(Serialize)]
struct SizeResults {
    memory_mb: u32,
    cores_when_limited: f64,
    function: &'static str,
    figures: Figures,
}

/// What was measured of one subject.
#[derive(Serialize)]
struct SubjectResults {
    name: String,
    variant: Variant,
    function: Option<&'static str>,
    full: Figures,
    limited: Option<Figures>,
    unzipped_bytes: u64,
    zipped_bytes: u64,
    many: Option<Many>,
}

/// Medians over all starts; of warm invocations, those after the last start.
#[derive(Serialize)]
struct Figures {
    init_ms: f64,
    first_ms: f64,
    init_and_first_ms: f64,
    /// The processor time of init and first invocation.
    cpu_ms: f64,
    warm_p50_ms: f64,
    warm_p99_ms: f64,
    peak_mb: f64,
    starts: usize,
}

/// The memory in use after few invocations and after many.
#[derive(Serialize)]
struct Many {
    early_invocations: usize,
    early_mb: f64,
    late_invocations: usize,
    late_mb: f64,
}

/// The figures of one process.
#[derive(Default)]
struct Life {
    init_ms: f64,
    first_ms: f64,
    cpu_ms: f64,
    warm_ms: Vec<f64>,
    peak_mb: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, node, results, only @ ..] = arguments.as_slice() else {
        return Err("usage: bench ROOT NODE RESULTS.json [sizes | pages]".into());
    };
    let only = match only {
        [] => "",
        [only] if only == "sizes" || only == "pages" => only.as_str(),
        _ => return Err(format!("not known: {only:?}").into()),
    };
    let root = &Path::new(root).canonicalize()?;
    // cargo-lambda puts each binary into a folder of its name, this one's beside the others.
    let own = std::env::current_exe()?;
    let built = own
        .ancestors()
        .nth(2)
        .ok_or("this program is in no folder")?;
    let work = root.join(".local/bench");
    std::fs::create_dir_all(&work)?;
    let aws = aws_stub::start(&work).await?;
    let subjects = Subject::all(root, built, Path::new(node));
    let cores = std::thread::available_parallelism()?.get();
    let sizes = async || {
        let rows = measure_sizes(&subjects, &aws).await?;
        Ok::<_, Box<dyn Error>>(Sizes { cores, rows })
    };
    let found = match only {
        "sizes" => serde_json::to_string_pretty(&serde_json::json!({ "sizes": sizes().await? }))?,
        "pages" => {
            let pages = pages::measure(root, built, &aws).await?;
            serde_json::to_string_pretty(&serde_json::json!({ "pages": pages }))?
        }
        _ => {
            let sizes = or_left_out("sizes of memory", sizes().await);
            let pages = or_left_out("the web pages", pages::measure(root, built, &aws).await);
            let memory_mb = memory_of_template(&root.join("template.yaml"))?;
            let found = measure_all(&subjects, &aws, memory_mb, sizes, pages).await?;
            serde_json::to_string_pretty(&found)?
        }
    };
    std::fs::write(results, found + "\n")?;
    Ok(())
}

/// The result of what needs a control group. Without one, says that this is left out.
fn or_left_out<T>(what: &str, found: Result<T, Box<dyn Error>>) -> Option<T> {
    found
        .inspect_err(|error| eprintln!("==> Left out: {what} ({error})"))
        .ok()
}

/// The memory that a template gives to its functions.
fn memory_of_template(path: &Path) -> Result<u32, Box<dyn Error>> {
    let template = std::fs::read_to_string(path)?;
    let size = template
        .lines()
        .find_map(|line| line.trim().strip_prefix("MemorySize: "))
        .ok_or("the template sets no MemorySize")?;
    Ok(size.parse()?)
}

/// What share of a core a function with that memory gets.
fn share_of(memory_mb: u32) -> f64 {
    f64::from(memory_mb) / MEMORY_OF_ONE_CORE_MB
}

/// Every subject at full speed and with the share of a core that the template's memory gets.
async fn measure_all(
    subjects: &[Subject],
    aws: &AwsStub,
    memory_mb: u32,
    sizes: Option<Sizes>,
    pages: Option<Pages>,
) -> Result<Results, Box<dyn Error>> {
    for subject in subjects {
        if subject.variant == Variant::Hello {
            survive_panic(subject, aws).await?;
        }
    }
    eprintln!("==> At full speed");
    let full = measure(&cases(subjects, None), aws).await?;
    let share = share_of(memory_mb);
    let limited = match Cgroup::create(memory_mb, share) {
        Ok(cgroup) => {
            eprintln!("==> With {share:.3} of a core, as at {memory_mb} MB");
            measure(&cases(subjects, Some(&cgroup)), aws)
                .await?
                .into_iter()
                .map(Some)
                .collect()
        }
        Err(error) => {
            eprintln!(
                "==> Left out: a share of a core, which needs a cgroup that root makes ({error})"
            );
            subjects.iter().map(|_| None).collect::<Vec<_>>()
        }
    };

    let mut found = Vec::new();
    for ((subject, full), limited) in subjects.iter().zip(full).zip(limited) {
        let (unzipped_bytes, zipped_bytes) = subject.sizes()?;
        found.push(SubjectResults {
            name: subject.name(),
            variant: subject.variant,
            function: subject.function,
            full,
            limited,
            unzipped_bytes,
            zipped_bytes,
            many: match subject.variant {
                Variant::Rust => Some(live_long(subject, aws).await?),
                _ => None,
            },
        });
    }
    Ok(Results {
        cores: std::thread::available_parallelism()?.get(),
        memory_mb,
        cores_when_limited: share,
        subjects: found,
        sizes,
        pages,
    })
}

/// Each function in Rust with each size of memory.
async fn measure_sizes(
    subjects: &[Subject],
    aws: &AwsStub,
) -> Result<Vec<SizeResults>, Box<dyn Error>> {
    let cgroups = SIZES_MB
        .iter()
        .map(|&memory_mb| Cgroup::create(memory_mb, share_of(memory_mb)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("it needs a cgroup that root makes: {error}"))?;
    eprintln!("==> With the shares of a core of {SIZES_MB:?} MB");
    let mut cases = Vec::new();
    let mut rows = Vec::new();
    for cgroup in &cgroups {
        for subject in subjects {
            if let (Variant::Rust, Some(function)) = (subject.variant, subject.function) {
                cases.push(Case {
                    subject,
                    limit: Some(cgroup),
                    starts: 41,
                    warm: 500,
                });
                rows.push((cgroup.memory_mb, function));
            }
        }
    }
    let figures = measure(&cases, aws).await?;
    Ok(rows
        .into_iter()
        .zip(figures)
        .map(|((memory_mb, function), figures)| SizeResults {
            memory_mb,
            cores_when_limited: share_of(memory_mb),
            function,
            figures,
        })
        .collect())
}

/// A subject, how fast it may run, how often it is started, and how often invoked after its last start.
struct Case<'a> {
    subject: &'a Subject,
    limit: Option<&'a Cgroup>,
    starts: usize,
    warm: usize,
}

fn cases<'a>(subjects: &'a [Subject], limit: Option<&'a Cgroup>) -> Vec<Case<'a>> {
    subjects
        .iter()
        .map(|subject| {
            let (starts, warm) = match (subject.variant, limit) {
                (Variant::Hello | Variant::Rust, None) => (41, 2_000),
                (Variant::Hello | Variant::Rust, Some(_)) => (21, 500),
                (_, None) => (11, 1_000),
                (_, Some(_)) => (5, 100),
            };
            Case {
                subject,
                limit,
                starts,
                warm,
            }
        })
        .collect()
}

/// Starts each subject in turn, round after round, so that whatever else the machine does hits all of them.
async fn measure(cases: &[Case<'_>], aws: &AwsStub) -> Result<Vec<Figures>, Box<dyn Error>> {
    let rounds = cases.iter().map(|case| case.starts).max().unwrap_or(0);
    let mut lives: Vec<Vec<Life>> = cases.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (case, lives) in cases.iter().zip(&mut lives) {
            if round < case.starts {
                let last = round + 1 == case.starts;
                let warm = if last { case.warm } else { 0 };
                lives.push(live(case.subject, aws, case.limit, warm).await?);
            }
        }
        eprint!("\r    round {} of {rounds}", round + 1);
    }
    eprintln!();
    Ok(lives.into_iter().map(figures).collect())
}

/// Starts a subject, invokes it once and then `warm` times more, and ends it.
async fn live(
    subject: &Subject,
    aws: &AwsStub,
    limit: Option<&Cgroup>,
    warm: usize,
) -> Result<Life, Box<dyn Error>> {
    let mut process = Process::start(subject, aws, limit).await?;
    let mut life = Life {
        init_ms: process.ready().await?,
        first_ms: process.invoke().await?,
        cpu_ms: process.cpu_ms()?,
        ..Life::default()
    };
    for _ in 0..warm {
        life.warm_ms.push(process.invoke().await?);
    }
    life.peak_mb = process.memory_mb("VmHWM")?;
    process.end().await?;
    Ok(life)
}

/// Checks that a release build answers a panic with an error and goes on serving.
async fn survive_panic(hello: &Subject, aws: &AwsStub) -> Result<(), Box<dyn Error>> {
    let mut process = Process::start(hello, aws, None).await?;
    process.ready().await?;
    match process.give(r#"{"panic": true}"#.into()).await? {
        (_, Err(error)) if error.contains("asked to panic") => {}
        (_, answer) => return Err(format!("a panic was answered with {answer:?}").into()),
    }
    process.invoke().await?;
    process.end().await?;
    Ok(())
}

/// Reads a subject's memory early and late in [`MANY`] invocations.
async fn live_long(subject: &Subject, aws: &AwsStub) -> Result<Many, Box<dyn Error>> {
    let mut process = Process::start(subject, aws, None).await?;
    process.ready().await?;
    for _ in 0..WARMED_UP {
        process.invoke().await?;
    }
    let early_mb = process.memory_mb("VmRSS")?;
    for _ in WARMED_UP..MANY {
        process.invoke().await?;
    }
    let late_mb = process.memory_mb("VmRSS")?;
    process.end().await?;
    Ok(Many {
        early_invocations: WARMED_UP,
        early_mb,
        late_invocations: MANY,
        late_mb,
    })
}

fn figures(lives: Vec<Life>) -> Figures {
    let starts = lives.len();
    let of = |figure: fn(&Life) -> f64| quantile(lives.iter().map(figure).collect(), 0.5);
    let (init_ms, first_ms) = (of(|life| life.init_ms), of(|life| life.first_ms));
    let init_and_first_ms = of(|life| life.init_ms + life.first_ms);
    let (cpu_ms, peak_mb) = (of(|life| life.cpu_ms), of(|life| life.peak_mb));
    let warm: Vec<f64> = lives.into_iter().flat_map(|life| life.warm_ms).collect();
    Figures {
        init_ms,
        first_ms,
        init_and_first_ms,
        cpu_ms,
        warm_p50_ms: quantile(warm.clone(), 0.5),
        warm_p99_ms: quantile(warm, 0.99),
        peak_mb,
        starts,
    }
}

/// The value below which a share of the values lies (nearest rank).
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let rank = (values.len() as f64 * share).ceil() as usize;
    values
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}
