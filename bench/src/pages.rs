//! Measures the functions of the web pages: their starts with each size of memory, and the processor time and the calls of
//! AWS of a look at a restaurant's page.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::aws_stub::{self, AwsStub};
use crate::subject::{Cgroup, Process, Subject, milliseconds, page_request};
use crate::{Many, SizeResults, live_long, measure_sizes, memory_of_template, quantile, share_of};

/// How often a page is looked at, and after how many looks the processor's time is first read.
const LOOKS: usize = 600;
const WARMED_UP: usize = 100;

/// Everything that is measured of the pages.
#[derive(Serialize)]
pub struct Pages {
    cores: usize,
    memory_mb: u32,
    open_orders: usize,
    closed_orders: usize,
    rows: Vec<SizeResults>,
    functions: Vec<FunctionResults>,
    views: Vec<View>,
}

#[derive(Serialize)]
struct FunctionResults {
    function: Option<&'static str>,
    unzipped_bytes: u64,
    zipped_bytes: u64,
    many: Many,
}

/// The figures of one kind of look at a page, with the memory that the template gives to `web`.
#[derive(Serialize)]
struct View {
    name: &'static str,
    status: u64,
    looks: usize,
    /// The size of headers and body, as HTTP/1.1 sends them.
    answer_bytes: usize,
    /// The processor time of one look.
    cpu_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Calls of AWS in all looks, by operation.
    calls: BTreeMap<String, usize>,
}

/// An answer of `web`.
struct Answer {
    status: u64,
    bytes: usize,
    etag: Option<String>,
}

/// Measures the pages.
pub async fn measure(root: &Path, built: &Path, aws: &AwsStub) -> Result<Pages, Box<dyn Error>> {
    let subjects = Subject::pages(root, built);
    let memory_mb = memory_of_template(&root.join("web/template.yaml"))?;
    let rows = measure_sizes(&subjects, aws).await?;
    eprintln!("==> Looks at a restaurant's page, as at {memory_mb} MB");
    let limit = Cgroup::create(memory_mb, share_of(memory_mb))?;
    let (web, link) = (subjects.first().ok_or("no pages")?, aws.link("rest-7")?);
    let forged = link.replace("id=rest-7", "id=rest-8");
    let views = vec![
        look(web, aws, &limit, "the page", &link, false).await?,
        look(web, aws, &limit, "the same page, unchanged", &link, true).await?,
        look(web, aws, &limit, "a forged link", &forged, false).await?,
    ];
    let mut functions = Vec::new();
    for subject in &subjects {
        let (unzipped_bytes, zipped_bytes) = subject.sizes()?;
        functions.push(FunctionResults {
            function: subject.function,
            unzipped_bytes,
            zipped_bytes,
            many: live_long(subject, aws).await?,
        });
    }
    Ok(Pages {
        cores: std::thread::available_parallelism()?.get(),
        memory_mb,
        open_orders: aws_stub::OPEN,
        closed_orders: aws_stub::CLOSED,
        rows,
        functions,
        views,
    })
}

/// Looks many times at a page. With `again`, each look sends the tag that the look before was given.
async fn look(
    web: &Subject,
    aws: &AwsStub,
    limit: &Cgroup,
    name: &'static str,
    link: &str,
    again: bool,
) -> Result<View, Box<dyn Error>> {
    let mut process = Process::start(web, aws, Some(limit)).await?;
    process.ready().await?;
    let calls_before = aws.calls();
    let (mut cpu_before, mut took, mut last) = (0.0, Vec::new(), None::<Answer>);
    for number in 0..LOOKS {
        if number == WARMED_UP {
            cpu_before = process.cpu_ms()?;
        }
        let etag = last.as_ref().and_then(|last| last.etag.as_deref());
        let request = page_request(link, etag.filter(|_| again));
        let (time, answer) = process.give(request).await?;
        let answer = read(&answer?)?;
        // Whoever looks the first time, or after the page's minutes changed, is sent the whole page.
        let changed = again && number > 0 && answer.status != 304;
        if number >= WARMED_UP && !changed {
            took.push(milliseconds(time));
        }
        if !changed {
            last = Some(answer);
        }
    }
    let cpu_ms = process.cpu_ms()? - cpu_before;
    let calls = aws.calls().into_iter();
    let calls = calls.map(|(operation, count)| {
        let before = calls_before.get(&operation).copied().unwrap_or(0);
        (operation, count - before)
    });
    let calls = calls.filter(|(_, count)| *count > 0).collect();
    process.end().await?;
    let last = last.ok_or("no answer")?;
    #[expect(clippy::cast_precision_loss)]
    let looks = (LOOKS - WARMED_UP) as f64;
    Ok(View {
        name,
        status: last.status,
        looks: LOOKS,
        answer_bytes: last.bytes,
        cpu_ms: cpu_ms / looks,
        p50_ms: quantile(took.clone(), 0.5),
        p99_ms: quantile(took, 0.99),
        calls,
    })
}

fn read(answer: &str) -> Result<Answer, Box<dyn Error>> {
    let answer: Value = serde_json::from_str(answer)?;
    let headers = answer.get("headers").and_then(Value::as_object);
    let headers = headers.ok_or("an answer without headers")?;
    let body = answer.get("body").and_then(Value::as_str);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let header_bytes = headers
        .iter()
        .map(|(name, value)| name.len() + text(value).len() + ": \r\n".len());
    Ok(Answer {
        status: answer
            .get("statusCode")
            .and_then(Value::as_u64)
            .ok_or("an answer without a status")?,
        bytes: header_bytes.sum::<usize>() + body.unwrap_or_default().len(),
        etag: headers.get("etag").map(text),
    })
}
