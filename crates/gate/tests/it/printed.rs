//! Each projection of one receipt, as it looks.

use sluicegate_gate::projection::*;

use crate::sample;

#[test]
fn terminal() {
    insta::assert_snapshot!(terminal::plain(&terminal::render(&sample::receipt())), @"
    FAIL  entity_extraction (pr)  no_regression.exact_match: the candidate is worse
      50 cases: 49 scored, 1 missing (1 failed); errors 2% (limit <= 2%)

         rule                       demands      measured  bounds            n  verdict
      ?  exact_match                >= 0.8         0.8163  0.7089 … 0.8901  49  inconclusive (warns)
      ✗  no_regression.exact_match  drop < 0.05     -0.14  -0.23 … -0.06    50  fail
      ✓  p95                        <= 2500ms      2310ms  –                38  pass

      ? exact_match: 0.82 is above 0.8, but 49 cases do not show it: 31 more cases, or 2 repeats, about $0.40
      ✗ no_regression.exact_match: 8 cases got worse and 1 better; luck alone does that in 1 of 51 comparisons

    worst cases
      ↓ line 7: exact_match 1 → 0
          was: names:⏎  Ada⏎  Grace
          now: names:⏎  Ada⏎  Paris
          why: `Paris` is no person
      ↓ line 9: exact_match 1 → missing
          was: names: Alan
      and 3 more

      note: the baseline's receipt is 6 days old
      power of exact_match: with 50 cases a drop of 0.12 or more is seen four times out of five (margin 0.05)
      cost: $0.31 target, $0.12 judge, $0.52 at list price, 12 answers from the cache
    ");
}

#[test]
fn step_summary() {
    insta::assert_snapshot!(summary::render(&sample::receipt()), @"
    ## ❌ Fail: entity_extraction (pr)

    no_regression.exact_match: the candidate is worse

    50 cases: 49 scored, 1 missing (1 failed); errors 2% (limit &#60;= 2%)

    | | rule | demands | measured | bounds | n | p | verdict |
    |---|---|---|---:|---|---:|---:|---|
    | 🟡 | <code>exact_match</code> | &#62;= 0.8 | 0.8163 | 0.7089 … 0.8901 | 49 | 0.61 | inconclusive, warns |
    | ❌ | <code>no_regression.exact_match</code> | drop &#60; 0.05 | -0.14 | -0.23 … -0.06 | 50 | 0.0156 | fail |
    | ✅ | <code>p95</code> | &#60;= 2500ms | 2310ms | – | 38 | – | pass |

    - 🟡 <code>exact_match</code>: 0.82 is above 0.8, but 49 cases do not show it: 31 more cases, or 2 repeats, about &#36;0.40
    - ❌ <code>no_regression.exact_match</code>: 8 cases got worse and 1 better; luck alone does that in 1 of 51 comparisons

    ### Worst cases

    <details><summary>line 7: <code>exact_match</code> 1 → 0</summary>

    asked: <code>Ada met Grace in Paris</code>

    ```diff
      names:
        Ada
    -   Grace
    +   Paris
    ```

    <code>exact_match</code>: &#96;Paris&#96; is no person

    </details>

    <details><summary>line 9: <code>exact_match</code> 1 → missing</summary>

    failed: <code>the endpoint gave up (503)</code>

    ```diff
    - names: Alan
    ```

    </details>

    … and 6 more cases

    - baseline <code>0123abcd</code>, 50 cases in common
    - the baseline&#39;s receipt is 6 days old
    - power of exact_match: with 50 cases a drop of 0.12 or more is seen four times out of five (margin 0.05)
    - <code>exact_match</code>: 0.7755 without the 1 missing, 0.76 if all of them are bad
    - cost: &#36;0.31 target, &#36;0.12 judge, &#36;0.52 at list price, 12 answers from the cache

    <sub>decision <code>279e69b951af9dae</code></sub>
    ");
}

#[test]
fn annotations() {
    insta::assert_snapshot!(annotations::render(&sample::receipt(), 10), @"
    ::error file=flows/entity_extraction/evaluation.yaml,line=7,title=entity_extraction%3A no_regression.exact_match fail::8 cases got worse and 1 better; luck alone does that in 1 of 51 comparisons
    ::warning file=flows/entity_extraction/evaluation.yaml,line=6,title=entity_extraction%3A exact_match inconclusive::0.82 is above 0.8, but 49 cases do not show it: 31 more cases, or 2 repeats, about $0.40
    ::warning file=data/entity_extraction_eval.jsonl,line=7,title=entity_extraction%3A a case got worse::exact_match 1 → 0%0Anow: names:⏎  Ada⏎  Paris%0Awas: names:⏎  Ada⏎  Grace
    ::warning file=data/entity_extraction_eval.jsonl,line=9,title=entity_extraction%3A a case got worse::exact_match 1 → missing%0Afailed: the endpoint gave up (503)%0Awas: names: Alan
    ::notice title=sluicegate::6 more; see the report of this run
    ");
}

#[test]
fn annotations_beyond_the_most_are_counted() {
    let mut receipt = sample::receipt();
    receipt.decision.regressions = vec![receipt.decision.regressions[0].clone(); 30];
    receipt.decision.regressions_total = 30;
    let text = annotations::render(&receipt, 10);
    assert_eq!(text.lines().count(), 10);
    assert_eq!(text.lines().last(), Some("::notice title=sluicegate::23 more; see the report of this run"));
    assert_eq!(annotations::render(&receipt, 0), "");
    assert_eq!(annotations::render(&receipt, 1), "::notice title=sluicegate::32 more; see the report of this run\n");
}

#[test]
fn outputs_of_a_step() {
    insta::assert_snapshot!(output::render(&sample::receipt(), "d41d8cd98f"), @"
    verdict<<d41d8cd98f
    fail
    d41d8cd98f
    exit_code<<d41d8cd98f
    10
    d41d8cd98f
    unchanged<<d41d8cd98f
    false
    d41d8cd98f
    blocks<<d41d8cd98f
    true
    d41d8cd98f
    headline<<d41d8cd98f
    no_regression.exact_match: the candidate is worse
    d41d8cd98f
    failed_rules<<d41d8cd98f
    no_regression.exact_match
    d41d8cd98f
    decision_hash<<d41d8cd98f
    279e69b951af9daec325b9aee58bfacb9e7dca21c949095098c67afdf772b269
    d41d8cd98f
    ");
}

#[test]
fn a_delimiter_that_stands_in_a_value_is_made_longer() {
    let mut receipt = sample::receipt();
    receipt.decision.headline = "END\nverdict=pass END_3".to_owned();
    let text = output::render(&receipt, "END");
    let delimiter = text.lines().next().and_then(|line| line.strip_prefix("verdict<<")).expect("a delimiter");
    assert!(delimiter.starts_with("END_") && !receipt.decision.headline.contains(delimiter));
    assert!(output::render(&receipt, "\n").starts_with("verdict<<END_OF_VALUE\n"));
}

#[test]
fn junit() {
    insta::assert_snapshot!(junit::render(&sample::receipt()), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="entity_extraction" tests="8" failures="2" errors="1">
      <testsuite name="entity_extraction: gate" tests="3" failures="1" errors="0" skipped="1">
        <testcase classname="entity_extraction.gate" name="exact_match">
          <skipped message="inconclusive: 0.82 is above 0.8, but 49 cases do not show it: 31 more cases, or 2 repeats, about $0.40"/>
        </testcase>
        <testcase classname="entity_extraction.gate" name="no_regression.exact_match">
          <failure type="fail" message="8 cases got worse and 1 better; luck alone does that in 1 of 51 comparisons">8 cases got worse and 1 better; luck alone does that in 1 of 51 comparisons</failure>
        </testcase>
        <testcase classname="entity_extraction.gate" name="p95"/>
      </testsuite>
      <testsuite name="entity_extraction: cases" tests="5" failures="1" errors="1" skipped="1">
        <testcase classname="entity_extraction" name="line 1 (case-1)" time="0.800"/>
        <testcase classname="entity_extraction" name="line 7 (case-7)" time="0.800">
          <failure type="score" message="exact_match 0 (differs)">names:
      Ada
      Paris</failure>
        </testcase>
        <testcase classname="entity_extraction" name="line 8 (case-8)" time="2.400">
          <flakyFailure type="score" message="exact_match 0 (differs)"></flakyFailure>
        </testcase>
        <testcase classname="entity_extraction" name="line 9 (case-9)" time="0.800">
          <error type="infrastructure" message="the endpoint gave up (503)"></error>
        </testcase>
        <testcase classname="entity_extraction" name="line 10 (case-10)" time="0.800">
          <skipped message="filtered"/>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn sarif() {
    insta::assert_snapshot!(sarif::render(&sample::receipt()), @r#"
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "version": "2.1.0",
      "runs": [
        {
          "tool": {
            "driver": {
              "name": "sluicegate",
              "version": "0.1.0",
              "rules": [
                {
                  "id": "exact_match",
                  "name": "threshold",
                  "shortDescription": {
                    "text": "exact_match >= 0.8"
                  },
                  "defaultConfiguration": {
                    "level": "warning"
                  }
                },
                {
                  "id": "no_regression.exact_match",
                  "name": "no_regression",
                  "shortDescription": {
                    "text": "no_regression.exact_match drop < 0.05"
                  },
                  "defaultConfiguration": {
                    "level": "error"
                  }
                },
                {
                  "id": "p95",
                  "name": "latency",
                  "shortDescription": {
                    "text": "p95 <= 2500ms"
                  },
                  "defaultConfiguration": {
                    "level": "warning"
                  }
                }
              ]
            }
          },
          "properties": {
            "verdict": "fail",
            "exitCode": 10,
            "decisionHash": "279e69b951af9daec325b9aee58bfacb9e7dca21c949095098c67afdf772b269"
          },
          "columnKind": "unicodeCodePoints",
          "results": [
            {
              "ruleId": "exact_match",
              "ruleIndex": 0,
              "level": "warning",
              "message": {
                "text": "0.82 is above 0.8, but 49 cases do not show it: 31 more cases, or 2 repeats, about $0.40"
              },
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "flows/entity_extraction/evaluation.yaml"
                    },
                    "region": {
                      "startLine": 6
                    }
                  }
                }
              ],
              "partialFingerprints": {
                "sluicegate/v1": "ec88fb5d0760d4141f54928cbfc26759e6b5c82e88b69e2931778799c6d6afb7"
              }
            },
            {
              "ruleId": "no_regression.exact_match",
              "ruleIndex": 1,
              "level": "error",
              "message": {
                "text": "8 cases got worse and 1 better; luck alone does that in 1 of 51 comparisons"
              },
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "flows/entity_extraction/evaluation.yaml"
                    },
                    "region": {
                      "startLine": 7
                    }
                  }
                }
              ],
              "partialFingerprints": {
                "sluicegate/v1": "62006f57d41add580dc5be478d53a7aca97a2a7e74ea1da9d56351f3f0f294aa"
              }
            },
            {
              "ruleId": "no_regression.exact_match",
              "ruleIndex": 1,
              "level": "warning",
              "message": {
                "text": "a case got worse: exact_match 1 → 0"
              },
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "data/entity_extraction_eval.jsonl"
                    },
                    "region": {
                      "startLine": 7
                    }
                  }
                }
              ],
              "partialFingerprints": {
                "sluicegate/v1": "bcb1ff7cbd1934bdd9ab8ea52d3bde542640372ca8560e04b9d00b482dc6d50f"
              }
            },
            {
              "ruleId": "case",
              "level": "warning",
              "message": {
                "text": "a case got worse: exact_match 1 → missing"
              },
              "locations": [
                {
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "data/entity_extraction_eval.jsonl"
                    },
                    "region": {
                      "startLine": 9
                    }
                  }
                }
              ],
              "partialFingerprints": {
                "sluicegate/v1": "20c4b265828a5dc38f42e5c8b2de352093f0971971ef8f4d4190c85a29affdb0"
              }
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn html() {
    let page = html::render(&sample::receipt());
    let body = &page[page.find("<body>").expect("a body")..];
    insta::assert_snapshot!(body, @r#"
    <body>
    <h1><span class="fail">Fail</span> entity_extraction (pr)</h1>
    <p>no_regression.exact_match: the candidate is worse</p>
    <p class="dim">50 cases: 49 scored, 1 missing (1 failed); errors 2% (limit &lt;= 2%)</p>
    <h2>Rules</h2>
    <table><thead><tr><th>rule</th><th>demands</th><th>measured</th><th>bounds</th><th>n</th><th>p</th><th>verdict</th><th>drawn</th></tr></thead><tbody>
    <tr><td><code>exact_match</code></td><td>&gt;= 0.8</td><td>0.8163</td><td>0.7089 … 0.8901<br/><span class="dim">wilson</span></td><td>49</td><td>0.61 (0.61 adjusted)</td><td class="inconclusive">? inconclusive</td><td><svg xmlns="http://www.w3.org/2000/svg" role="img" width="320" height="44" viewBox="0 0 320 44"><title>0.8163 in 0.7089 … 0.8901, limit 0.8</title><line class="axis" x1="8" y1="22" x2="312" y2="22"/><line class="interval" x1="223.5" y1="22" x2="278.6" y2="22"/><circle class="estimate" cx="256.2" cy="22" r="4"/><line class="limit" x1="251.2" y1="8" x2="251.2" y2="36"/><text x="8" y="40" text-anchor="start">0</text><text x="312" y="40" text-anchor="end">1</text></svg></td></tr>
    <tr><td></td><td colspan="7" class="dim">0.82 is above 0.8, but 49 cases do not show it: 31 more cases, or 2 repeats, about $0.40</td></tr>
    <tr><td><code>no_regression.exact_match</code></td><td>drop &lt; 0.05</td><td>-0.14</td><td>-0.23 … -0.06<br/><span class="dim">tango</span></td><td>50</td><td>0.0078 (0.0156 adjusted)</td><td class="fail">✗ fail</td><td><svg xmlns="http://www.w3.org/2000/svg" role="img" width="320" height="44" viewBox="0 0 320 44"><title>-0.14 in -0.23 … -0.06, limit -0.05</title><line class="axis" x1="8" y1="22" x2="312" y2="22"/><line class="interval" x1="8.0" y1="22" x2="232.7" y2="22"/><circle class="estimate" cx="127.0" cy="22" r="4"/><line class="limit" x1="245.9" y1="8" x2="245.9" y2="36"/><text x="8" y="40" text-anchor="start">-0.23</text><text x="312" y="40" text-anchor="end">0</text></svg><svg xmlns="http://www.w3.org/2000/svg" role="img" width="320" height="72" viewBox="0 0 320 72"><title>differences of 8 cases: 3 lower, 1 higher</title><rect class="worse" x="8.0" y="12.4" width="4.2" height="41.6"/><rect class="same" x="157.5" y="6.0" width="4.2" height="48.0"/><rect class="better" x="307.0" y="30.0" width="4.2" height="24.0"/><line class="axis" x1="8" y1="54" x2="312" y2="54"/><text x="8" y="67" text-anchor="start">-1</text><text x="160" y="67" text-anchor="middle">0</text><text x="312" y="67" text-anchor="end">+1</text></svg></td></tr>
    <tr><td></td><td colspan="7" class="dim">8 cases got worse and 1 better; luck alone does that in 1 of 51 comparisons</td></tr>
    <tr><td><code>p95</code></td><td>&lt;= 2500ms</td><td>2310ms</td><td>–<br/><span class="dim">quantile</span></td><td>38</td><td>–</td><td class="pass">✓ pass</td><td><svg xmlns="http://www.w3.org/2000/svg" role="img" width="320" height="44" viewBox="0 0 320 44"><title>2310 in –, limit 2500</title><line class="axis" x1="8" y1="22" x2="312" y2="22"/><line class="interval" x1="288.9" y1="22" x2="288.9" y2="22"/><circle class="estimate" cx="288.9" cy="22" r="4"/><line class="limit" x1="312.0" y1="8" x2="312.0" y2="36"/><text x="8" y="40" text-anchor="start">0</text><text x="312" y="40" text-anchor="end">2500</text></svg></td></tr>
    </tbody></table>
    <h2>Worst cases</h2>
    <details><summary>line 7: <code>exact_match</code> 1 → 0</summary>
    <p>asked: <code>Ada met Grace in Paris</code></p>
    <div class="sides"><div><h3>was</h3><pre>names:
      Ada
    <span class="gone">  Grace</span>
    </pre></div><div><h3>now</h3><pre>names:
      Ada
    <span class="new">  Paris</span>
    </pre></div></div>
    <p><code>exact_match</code>: `Paris` is no person</p>
    <p class="dim">trace <code>4bf92f3577b34da6a3ce929d0e0e4736</code></p>
    </details>
    <details><summary>line 9: <code>exact_match</code> 1 → missing</summary>
    <p class="fail">failed: the endpoint gave up (503)</p>
    <div class="sides"><div><h3>was</h3><pre><span class="gone">names: Alan</span>
    </pre></div><div><h3>now</h3><p class="dim">no answer</p></div></div>
    </details>
    <p class="dim">and 6 more</p>
    <h2>Notes</h2>
    <ul>
    <li>baseline 0123abcd, 50 cases in common</li>
    <li>the baseline&#39;s receipt is 6 days old</li>
    <li>power of exact_match: with 50 cases a drop of 0.12 or more is seen four times out of five (margin 0.05)</li>
    <li>cost: $0.31 target, $0.12 judge, $0.52 at list price, 12 answers from the cache</li>
    <li>latency: p50 840ms, p95 2310ms</li>
    <li>decision 279e69b951af9daec325b9aee58bfacb9e7dca21c949095098c67afdf772b269</li>
    </ul>
    </body></html>
    "#);
}

#[test]
fn comment_begins_with_its_marker() {
    let text = comment::render(&sample::receipt());
    let marker = comment::marker("entity_extraction", Some("pr"));
    assert!(text.starts_with(&format!("{marker}\n## ❌ Fail: entity_extraction (pr)\n")));
    assert_ne!(marker, comment::marker("entity_extraction", Some("prod")));
    assert!(marker.starts_with("<!-- sluicegate:") && marker.ends_with(" -->"));
}

#[test]
fn a_report_that_would_be_too_long_is_cut_between_cases_and_says_so() {
    let mut receipt = sample::receipt();
    receipt.decision.regressions[0].candidate_output = Some("x".repeat(50_000));
    receipt.decision.regressions = vec![receipt.decision.regressions[0].clone(); 2_000];
    receipt.decision.regressions_total = 2_000;
    for (text, most) in [
        (summary::render(&receipt), summary::MOST_BYTES),
        (comment::render(&receipt), comment::MOST_BYTES),
        (markdown::render(&receipt), 8 << 20),
    ] {
        assert!(text.len() <= most);
        assert!(text.contains("more cases\n"));
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    }
    let mut many = sample::receipt();
    many.decision.rules = vec![many.decision.rules[0].clone(); 2_000];
    let text = comment::render(&many);
    assert!(text.len() <= comment::MOST_BYTES);
    assert!(text.contains("more rules\n") && text.contains("[The full report](https://example.test/runs/1)"));
    assert!(html::render(&receipt).len() < 20 << 20);
}
