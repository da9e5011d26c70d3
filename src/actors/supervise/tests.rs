use super::*;

struct Counter {
    generation: usize,
}
impl Actor for Counter {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "usize")]
struct Ask;
impl Handler<Ask> for Counter {
    type Result = usize;
    fn handle(&mut self, _: Ask, _: &mut Self::Context) -> usize {
        self.generation
    }
}

fn surroundings() -> (Surroundings, mpsc::UnboundedReceiver<Fatal>) {
    let (fatal, fatals) = mpsc::unbounded_channel();
    (Surroundings { metrics: Metrics::new(), fatal, faults: Some(Faults::default()) }, fatals)
}

fn inject(around: &Surroundings, name: &str) -> Result<(), Vec<String>> {
    around.faults.as_ref().unwrap().inject(name)
}

fn counting() -> impl FnMut() -> Counter + Send {
    let mut generation = 0;
    move || {
        generation += 1;
        Counter { generation }
    }
}

/// Asks until a living generation answers with at least `wanted`.
async fn generation_of(handle: &Handle<Counter>, wanted: usize) -> usize {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        if let Ok(generation) = handle.addr().send(Ask).await
            && generation >= wanted
        {
            return generation;
        }
        assert!(Instant::now() < deadline, "no generation {wanted} in time");
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn a_panicked_actor_is_replaced_by_a_new_one_behind_the_same_handle() {
    let (around, _fatals) = surroundings();
    let handle = start(&around, "counter", counting());
    assert_eq!(generation_of(&handle, 1).await, 1);
    inject(&around, "counter").unwrap();
    assert_eq!(generation_of(&handle, 2).await, 2);
    assert!(around.metrics.render().unwrap().contains(r#"parkmesh_restarts_total{actor="counter"} 1"#));
}

/// Whatever a peer sends that makes its link fail ends no gate.
#[actix::test]
async fn what_gates_do_without_is_built_anew_for_ever_when_its_budget_is_spent() {
    let (around, mut fatals) = surroundings();
    let handle = start_as(&around, "counter".into(), Duration::from_millis(1), counting());
    for generation in 1..=BUDGET + 3 {
        generation_of(&handle, generation).await;
        inject(&around, "counter").unwrap();
    }
    generation_of(&handle, BUDGET + 4).await;
    assert!(fatals.try_recv().is_err());
}

#[actix::test]
async fn an_actor_without_a_budget_is_fatal_at_its_first_panic() {
    let (around, mut fatals) = surroundings();
    let arbiter = actix::Arbiter::new();
    let handle = start_once(&arbiter.handle(), &around, "writer", || Counter { generation: 1 }).await.unwrap();
    inject(&around, "writer").unwrap();
    assert!(handle.send(Ask).await.is_err(), "who waits is not left waiting");
    assert_eq!(fatals.recv().await.unwrap().actor, "writer");
    arbiter.stop();
}

#[actix::test]
async fn an_actor_ends_with_its_last_handle() {
    let (around, mut fatals) = surroundings();
    let handle = start(&around, "counter", counting());
    let addr = handle.addr().downgrade();
    drop(handle);
    let deadline = Instant::now() + Duration::from_secs(5);
    while addr.upgrade().is_some_and(|addr| addr.connected()) {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    drop(around);
    assert_eq!(fatals.recv().await, None);
}

#[test]
fn pauses_double_and_old_restarts_are_forgiven() {
    let mut restarts = Restarts::default();
    let start = Instant::now();
    let pauses: Vec<_> = (0..BUDGET + 1).map(|_| restarts.allow(start).map(|p| p.as_millis())).collect();
    assert_eq!(pauses, [Some(0), Some(50), Some(100), Some(200), Some(400), None]);
    let later = start + BUDGET_WINDOW + Duration::from_millis(1);
    assert_eq!(restarts.allow(later), Some(Duration::ZERO));
}

#[test]
fn a_guarded_panic_is_an_error_with_its_text() {
    assert_eq!(guard(|| 1), Ok(1));
    assert_eq!(guard(injected_panic), Err("injected by a test".into()));
}

#[actix::test]
async fn an_unknown_actor_is_answered_with_the_known_names() {
    let (around, _fatals) = surroundings();
    let handle = start(&around, "counter", counting());
    generation_of(&handle, 1).await;
    assert_eq!(inject(&around, "reader"), Err(vec!["counter".to_owned()]));
}

#[actix::test]
async fn a_task_that_panics_is_begun_anew_and_one_that_ends_is_not() {
    let (around, _fatals) = surroundings();
    let (began, mut begins) = mpsc::unbounded_channel();
    let mut lives = 0;
    keep_running(&around, "task", move || {
        lives += 1;
        let (life, began) = (lives, began.clone());
        async move {
            began.send(life).unwrap();
            assert!(life > 3, "injected by a test");
        }
    });
    let mut seen = Vec::new();
    // The channel closes with the task.
    while let Some(life) = begins.recv().await {
        seen.push(life);
    }
    assert_eq!(seen, [1, 2, 3, 4]);
    assert!(around.metrics.render().unwrap().contains(r#"parkmesh_restarts_total{actor="task"} 3"#));
}
