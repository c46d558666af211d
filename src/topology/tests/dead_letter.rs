//! Exporters that get what the destinations of others refuse.

use super::*;

fn with_dead_letters(name: &str, of_sink: &str, others: &str) -> String {
    format!(
        "receivers: {{source: {{name: {name}}}}}
exporters: {{sink: {{name: {name}, dead_letter: {of_sink}}}{others}}}
service: {{pipelines: {{logs: {{receivers: [source], exporters: [sink]}}}}}}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_records_go_to_an_exporter_that_is_in_no_pipeline() {
    let sink = sink("refusing", Scripted::with([Step::Reject, Step::Take]));
    let dead = super::sink("dead", Scripted::default());
    let text = with_dead_letters("refusing", "sink/dead", ", sink/dead: {name: dead}");
    let (engine, host) = start(&text).await;
    let inlet = inlet("refusing").await;
    inlet.deliver(batch(&[1, 2])).await;
    soon(async {
        while dead.taken().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(inlet.deliver(batch(&[3])).await, Answer::DELIVERED);
    drop(inlet);
    let balance = stop(engine, &host).await;
    assert_eq!((sink.taken(), dead.taken()), (vec![3], vec![1, 2]));
    assert_eq!(balance.exporters["sink logs"].dropped["rejected"], 2);
    assert_eq!(balance.exporters["sink/dead logs"].delivered, 2);
    let reasons = dead.reasons.lock().unwrap();
    assert_eq!(*reasons, [Some("bad".to_owned())]);
}

#[test]
fn dead_letters_need_an_exporter_that_has_none_itself() {
    let told = problems(&with_dead_letters("x", "sink/daed", ", sink/dead: {name: y}"));
    assert!(told.contains("`sink/daed` is not configured in exporters"), "{told}");
    assert!(told.contains("exporters::sink::dead_letter"), "{told}");
    let both = ", sink/dead: {name: y, dead_letter: sink}";
    let told = problems(&with_dead_letters("x", "sink/dead", both));
    assert!(told.contains("`sink/dead` has a `dead_letter` itself"), "{told}");
    let told = problems(&with_dead_letters("x", "sink", ""));
    assert!(told.contains("`sink` has a `dead_letter` itself"), "{told}");
}
