//! How long it takes to fill in a template: a chat of 2 kB with ten turns, and the entity extraction of the samples.

use divan::counter::ItemsCount;
use sluicegate_flow::messages::{Flavour, chat_messages};
use sluicegate_flow::template::{Binding, Mode, Nonce, Template};
use sluicegate_source::SourceFile;
use sluicegate_value::{Map, Value};

fn main() {
    divan::main();
}

const ENTITIES: &str = include_str!("../../../flows/entity_extraction/extract.jinja2");

/// A system message of some paragraphs, the facts that were found, what was said, and a question: about 2 kB.
fn chat() -> String {
    let rules =
        "- Answer from the documents only, and say so when they do not hold the answer. Quote at most a line.\n";
    format!(
        "{{# The assistant of a product's help page. #}}\nsystem:\nYou are the assistant of {{{{ product }}}}. You answer \
         questions of {{{{ customer.name }}}}, who has the plan \"{{{{ customer.plan|upper }}}}\".\n{}\n{{% if tone %}}\nKeep \
         a {{{{ tone }}}} tone.\n{{% endif %}}\n\n# Documents\n{{% for document in documents %}}\n{{{{ loop.index }}}}. \
         {{{{ document.title }}}} ({{{{ document.url }}}})\n{{{{ document.text }}}}\n{{% else %}}\nThere are \
         none.\n{{% endfor %}}\n\n{{% for turn in chat_history %}}\nuser:\n{{{{ turn.inputs.question }}}}\nassistant:\n\
         {{{{ turn.outputs.answer }}}}\n{{% endfor %}}\n\nuser:\n{{{{ question }}}}\n",
        rules.repeat(15)
    )
}

fn inputs() -> Vec<Binding> {
    let text =
        "Open the settings, choose the account, and press the button beside its name. It takes a minute or two. ";
    let map = |entries: &[(&str, &str)]| {
        entries.iter().map(|(key, value)| (std::sync::Arc::from(*key), Value::from(*value))).collect::<Map>()
    };
    let documents: Vec<Value> = (0..4)
        .map(|_| {
            map(&[("title", "Settings"), ("url", "https://example.org/settings"), ("text", &text.repeat(4))]).into()
        })
        .collect();
    let turns: Vec<Value> = (0..10)
        .map(|_| {
            let asked = map(&[("question", "How do I change the name of my account?")]);
            let answered = map(&[("answer", &text.repeat(2))]);
            Map::from([("inputs", Value::from(asked)), ("outputs", answered.into())]).into()
        })
        .collect();
    vec![
        Binding::data("product", "the spreadsheet"),
        Binding::data("customer", map(&[("name", "Ada"), ("plan", "team")])),
        Binding::data("tone", "friendly"),
        Binding::data("documents", documents),
        Binding::data("chat_history", turns),
        Binding::data("question", "And how do I delete it?"),
    ]
}

fn template(source: &str, mode: Mode) -> Template {
    match Template::parse_file(&SourceFile::new("t.jinja2", source), mode) {
        Ok(template) => template,
        Err(problem) => panic!("{problem}"),
    }
}

fn render(bencher: divan::Bencher<'_, '_>, template: &Template, inputs: &[Binding]) {
    assert!(template.render(inputs, Nonce(1)).is_ok());
    bencher.counter(ItemsCount::new(1_u32)).bench(|| template.render(inputs, Nonce(1)));
}

#[divan::bench(args = [Mode::Llm, Mode::PromptyV1])]
fn chat_of_ten_turns(bencher: divan::Bencher<'_, '_>, mode: Mode) {
    let source = chat();
    assert!((1900..2500).contains(&source.len()), "{}", source.len());
    render(bencher, &template(&source, mode), &inputs());
}

/// With the text cut into messages.
#[divan::bench]
fn chat_of_ten_turns_in_messages(bencher: divan::Bencher<'_, '_>) {
    let (template, inputs) = (template(&chat(), Mode::Llm), inputs());
    bencher.counter(ItemsCount::new(1_u32)).bench(|| {
        let rendered = template.render(&inputs, Nonce(1)).map_err(|error| error.to_string())?;
        chat_messages(&rendered, Flavour::Tool).map_err(|error| error.to_string())
    });
}

#[divan::bench]
fn entity_extraction(bencher: divan::Bencher<'_, '_>) {
    let text = "The software engineer is working on a new update for the application.";
    let inputs = [Binding::data("entity_type", "job title"), Binding::data("text", text)];
    render(bencher, &template(ENTITIES, Mode::Llm), &inputs);
}

#[divan::bench]
fn entity_extraction_in_mustache(bencher: divan::Bencher<'_, '_>) {
    let text = "The software engineer is working on a new update for the application.";
    let inputs = [Binding::data("entity_type", "job title"), Binding::data("text", text)];
    render(bencher, &template(ENTITIES, Mode::Mustache), &inputs);
}

#[divan::bench]
fn parsing_a_chat(bencher: divan::Bencher<'_, '_>) {
    let source = chat();
    bencher.bench(|| template(&source, Mode::Llm));
}
