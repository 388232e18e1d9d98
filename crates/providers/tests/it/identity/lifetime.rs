//! How long a token serves, and what follows when it does not.

use super::*;

/// A model that takes a token only for 300 seconds after it was given out, and the clock of both.
fn five_minutes(site: &Site) -> Arc<AtomicU64> {
    let now = Arc::new(AtomicU64::new(0));
    let (of_authority, of_model, given) = (now.clone(), now.clone(), site.given.clone());
    site.authority.on(move |_| {
        given.fetch_add(1, Ordering::SeqCst);
        let token = format!("given-at-{}", of_authority.load(Ordering::SeqCst));
        Some(Answer::json(200, &json!({ "access_token": token, "expires_in": "300" })))
    });
    site.model.on(move |heard| {
        let given: u64 = heard.header("authorization")?.strip_prefix("Bearer given-at-")?.parse().unwrap();
        let age = of_model.load(Ordering::SeqCst) - given;
        (age >= 300).then(|| Answer::error(401, "401", "expired"))
    });
    now
}

#[tokio::test]
async fn tokens_of_five_minutes_carry_a_batch_of_three_hours() {
    let site = Site::start(300);
    let now = five_minutes(&site);
    let connected = site.connected(site.application());
    for minute in 0..180 {
        now.store(minute * 60, Ordering::SeqCst);
        check_succeeded(&once(&connected).await);
        pass(seconds(60)).await;
    }
    // Each served for half of its life, in whole minutes: nobody was refused, and nobody asked more often than needed.
    assert_eq!((site.model.count(), site.given()), (180, 60));
}

#[tokio::test]
async fn a_machine_that_slept_gets_a_new_token() {
    let site = Site::start(300);
    let now = five_minutes(&site);
    let connected = site.connected(site.application());
    check_succeeded(&once(&connected).await);
    pass(seconds(3600)).await;
    now.store(3600, Ordering::SeqCst);
    check_succeeded(&once(&connected).await);
    assert_eq!((site.model.count(), site.given()), (2, 2));
}

#[tokio::test]
async fn a_token_of_an_hour_is_renewed_five_minutes_before_its_end() {
    let site = Site::start(3600);
    let connected = site.connected(site.application());
    for (wait, expected) in [(0, 1), (3200, 1), (90, 1), (15, 2)] {
        pass(seconds(wait)).await;
        check_succeeded(&once(&connected).await);
        assert_eq!(site.given(), expected);
    }
}

#[tokio::test]
async fn many_calls_wait_for_one_exchange() {
    let site = Site::start(3600);
    site.authority.latency(Duration::from_millis(50));
    let connected = Arc::new(site.connected(site.application()));
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let connected = connected.clone();
            tokio::spawn(async move { once(&connected).await })
        })
        .collect();
    for call in calls {
        check_succeeded(&call.await.unwrap());
    }
    assert_eq!((site.given(), site.model.count()), (1, 64));
}

#[tokio::test]
async fn many_calls_share_the_failure_of_one_exchange() {
    let site = Site::start(3600);
    site.authority.on(|_| Some(refusal(700_016, "Application was not found.")));
    site.authority.latency(Duration::from_millis(50));
    let connected = Arc::new(site.connected(site.application()));
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let connected = connected.clone();
            tokio::spawn(async move { message(&once(&connected).await) })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().contains("has no application"));
    }
    assert_eq!(site.authority.count(), 1);
    // The lines that come later do not ask one by one; somebody who repaired it need not wait for long.
    let _ = message(&once(&connected).await);
    assert_eq!(site.authority.count(), 1);
    pass(seconds(6)).await;
    let _ = message(&once(&connected).await);
    assert_eq!(site.authority.count(), 2);
}

#[tokio::test]
async fn whoever_gives_up_does_not_take_the_others_along() {
    let site = Site::start(3600);
    site.authority.queue(Answer::Hang);
    let connected = Arc::new(site.connected(site.application()));
    let first = tokio::spawn({
        let connected = connected.clone();
        async move { once(&connected).await }
    });
    while site.authority.count() < 1 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // What is told of an attempt is told in the same breath in which it asks for a token.
    let ears = Arc::new(crate::Ears::default());
    let context = CallContext { notices: ears.clone(), ..CallContext::detached() };
    let model = connected.chat(&name()).unwrap();
    let second = tokio::spawn(async move { model.chat(&request(), &context).await });
    while ears.0.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(site.authority.count(), 1, "it waits for the first one's exchange");
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(site.given(), 1);
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_old_token_in_use() {
    let site = Site::start(3600);
    let connected = site.connected(site.application());
    check_succeeded(&once(&connected).await);
    pass(seconds(3400)).await;
    site.authority.queue(refusal(7_000_222, "The provided client secret keys are expired."));
    for _ in 0..5 {
        check_succeeded(&once(&connected).await);
    }
    assert_eq!(site.authority.count(), 2, "the next renewal is not tried at once");
    assert_eq!(site.shown(), vec!["Bearer token-1"; 6]);
    pass(seconds(6)).await;
    check_succeeded(&once(&connected).await);
    assert_eq!(site.shown().last().unwrap(), "Bearer token-2");
}

#[tokio::test]
async fn a_renewal_that_fails_is_an_error_once_the_old_token_is_over() {
    let site = Site::start(3600);
    let connected = site.connected(site.application());
    check_succeeded(&once(&connected).await);
    pass(seconds(3600)).await;
    site.authority.queue(refusal(7_000_222, "Keys are expired."));
    let said = message(&once(&connected).await);
    let expected = format!(
        "client_secret, which gave a token before: the secret of application {CLIENT} has expired: make a new one and put \
         it into AZURE_CLIENT_SECRET (AADSTS7000222: Keys are expired)"
    );
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all() {
    let site = Site::start(3600);
    let connected = Arc::new(site.connected(site.application()));
    check_succeeded(&once(&connected).await);
    site.refuse("token-1");
    // All of them are on their way before the first is answered.
    site.model.latency(Duration::from_millis(200));
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let connected = connected.clone();
            tokio::spawn(async move { once(&connected).await })
        })
        .collect();
    for call in calls {
        let outcome = call.await.unwrap();
        check_succeeded(&outcome);
        assert_eq!(outcome.told, ["attempt 1"], "nothing failed for whoever watches");
    }
    assert_eq!(site.given(), 2);
    let shown = site.shown();
    assert_eq!(shown.iter().filter(|shown| *shown == "Bearer token-2").count(), 64);
}

#[tokio::test]
async fn a_token_that_is_refused_again_after_its_renewal_is_an_error() {
    let site = Site::start(3600);
    site.model.on(|_| {
        Some(Answer::error(401, "401", "Access denied due to invalid subscription key or wrong API endpoint."))
    });
    let connected = site.connected(site.application());
    let said = message(&once(&connected).await);
    assert_eq!(
        said,
        format!(
            "the endpoint refused client secret of application {CLIENT} in tenant {TENANT} (401): Access denied due to \
             invalid subscription key or wrong API endpoint; check `scope` and `cloud`, and that the address is the \
             resource's own (https://NAME.openai.azure.com): a region's address takes only keys"
        )
    );
    assert_eq!((site.given(), site.model.count()), (2, 2));
    // Nor is a token asked for by each of the calls that follow.
    let _ = message(&once(&connected).await);
    assert_eq!((site.given(), site.model.count()), (2, 3));
    pass(seconds(61)).await;
    let _ = message(&once(&connected).await);
    assert_eq!((site.given(), site.model.count()), (3, 5));
}

#[tokio::test]
async fn a_source_that_keeps_giving_the_refused_token_is_an_error() {
    let site = Site::start(3600);
    site.authority.on(|_| Some(Answer::json(200, &json!({ "access_token": "cached-token", "expires_in": 3000 }))));
    site.refuse("cached-token");
    let (outcome, _) = site.call(Entra { imds: site.authority.url(), ..site.entra() }).await;
    let said = message(&outcome);
    assert!(
        said.starts_with("the endpoint refused managed identity (virtual machine) (401): the token *** is"),
        "{said}"
    );
    assert_eq!((site.authority.count(), site.model.count()), (2, 2));
}

#[tokio::test]
async fn an_identity_without_a_role() {
    async fn check(status: u16, code: &str, says: &str, hint: &str) {
        let site = Site::start(3600);
        let answer = Answer::error(status, code, says);
        site.model.on(move |_| Some(answer.clone()));
        let (outcome, _) = site.call(site.application()).await;
        let said = message(&outcome);
        assert!(said.ends_with(hint), "{said}");
    }
    let role = "which takes some minutes to work";
    check(
        403,
        "",
        "Forbidden",
        &format!("(403): Forbidden; on the resource it needs a role such as `Cognitive Services OpenAI User`, {role}"),
    )
    .await;
    check(
        401,
        "PermissionDenied",
        "The principal lacks the required data action.",
        "; give the identity the role `Cognitive Services OpenAI User` on this resource; that takes some minutes to work",
    )
    .await;
}

#[tokio::test]
async fn whoever_gives_out_tokens_may_fail_for_a_while() {
    let site = Site::start(3600);
    // As often as one question is asked, and once more.
    for _ in 0..5 {
        site.authority.queue(Answer::error(503, "503", "busy").header("retry-after-ms", "1"));
    }
    let (outcome, _) = site.call(site.application()).await;
    check_succeeded(&outcome);
    assert_eq!(outcome.told, ["attempt 1", "attempt 1 failed: no_identity, again", "attempt 2"]);
    assert_eq!((site.authority.count(), site.model.count()), (6, 1));
}

#[tokio::test]
async fn a_wrong_clock_does_not_matter() {
    let site = Site::start(3600);
    // Whoever gives out tokens is three hours behind, so that by this machine's clock they are over when they come.
    site.authority.on(|_| {
        let past = epoch() - 3 * 3600;
        let token = jwt(&json!({ "iat": past, "nbf": past, "exp": past + 3600 }));
        let date = httpdate::fmt_http_date(UNIX_EPOCH + seconds(past));
        let body = json!({ "access_token": token, "expires_in": 3600, "expires_on": past + 3600 });
        Some(Answer::json(200, &body).header("date", &date))
    });
    let connected = site.connected(site.application());
    for (wait, expected) in [(0, 1), (1800, 1), (1300, 1), (300, 2)] {
        pass(seconds(wait)).await;
        check_succeeded(&once(&connected).await);
        assert_eq!(site.authority.count(), expected);
    }
}

#[tokio::test]
async fn tokens_of_two_seconds_serve_in_real_time() {
    let site = Site::start(2);
    let connected = site.connected(site.application());
    for _ in 0..12 {
        check_succeeded(&once(&connected).await);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(site.given() >= 2, "{} tokens", site.given());
}
