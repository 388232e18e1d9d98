//! The table of every key that a flow file may have: what is checked, and what editors are told, is this one table.

/// A map with known keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// What messages call it: "the flow", "node", "input".
    pub(crate) name: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

/// A key of a [`Section`].
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// For editors: one sentence.
    pub(crate) about: &'static str,
    /// Whether it must be there.
    pub(crate) required: bool,
}

/// What may stand under a key. `null` is as good as nothing for each of them.
#[derive(Debug)]
pub(crate) enum Shape {
    Anything,
    Text,
    /// Text, or a number that is meant as one.
    Name,
    Boolean,
    /// A whole number of at least this.
    Whole(i64),
    /// `30s`, `500ms`, `2m`, or a number of seconds.
    Duration,
    /// `512KiB`, `1MiB`, `10MB`, or a number of bytes.
    Size,
    /// One of some words.
    Word(&'static Words),
    ListOf(&'static Shape),
    MapOf(&'static Shape),
    Section(&'static Section),
}

/// A closed list of words.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) words: &'static [&'static str],
    /// What messages call one of them: "type", "kind".
    pub(crate) noun: &'static str,
    /// The problem that another word is.
    pub(crate) code: &'static str,
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about, required: false }
}

const fn required(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about, required: true }
}

const TEXT: &Shape = &Shape::Text;
const NAME: &Shape = &Shape::Name;
const ANYTHING: &Shape = &Shape::Anything;

/// The types of inputs and outputs.
pub(crate) static TYPES: Words = Words {
    words: &[
        "int",
        "double",
        "bool",
        "string",
        "list",
        "object",
        "image",
        "secret",
        "file_path",
        "prompt_template",
        "assistant_definition",
    ],
    noun: "type",
    code: "flow::unknown_type",
};

/// The kinds of nodes.
pub(crate) static KINDS: Words = Words {
    words: &[
        "llm",
        "prompt",
        "python",
        "custom_llm",
        "prompty",
        "expression",
        "flow",
        "map",
        "loop",
        "http",
        "embedding",
        "csharp",
    ],
    noun: "kind of node",
    code: "flow::unknown_kind",
};

static SOURCE_TYPES: Words =
    Words { words: &["code", "package", "package_with_prompt"], noun: "type of source", code: "flow::wrong_source" };
static APIS: Words = Words { words: &["chat", "completion", "responses"], noun: "api", code: "flow::wrong_value" };
static FILTERED: Words =
    Words { words: &["fail", "report"], noun: "way to take a filtered call", code: "flow::wrong_value" };
static EXPECTED: Words = Words { words: &["success", "any"], noun: "expected status", code: "flow::wrong_value" };
static FORMATS: Words = Words { words: &["basic", "openai-vision"], noun: "message format", code: "flow::wrong_value" };

/// `flow.dag.yaml` itself.
pub(crate) static FLOW: Section = Section {
    name: "the flow",
    keys: &[
        key("$schema", Shape::Text, "Where the schema of this file is; for editors."),
        key("id", Shape::Name, "An identifier; not used."),
        key("name", Shape::Name, "The flow's name; its folder's name if absent."),
        key("description", Shape::Text, "What the flow is for."),
        key("display_name", Shape::Name, "A name for people."),
        key("type", Shape::Name, "`standard`, `chat` or `evaluation`; it runs the same."),
        key("tags", Shape::Anything, "Labels of your own."),
        key("language", Shape::Name, "The language of its tools."),
        key("inputs", Shape::MapOf(&Shape::Section(&INPUT)), "What the flow takes, by name."),
        key("outputs", Shape::MapOf(&Shape::Section(&OUTPUT)), "What the flow gives, by name."),
        key("nodes", Shape::ListOf(&Shape::Section(&NODE)), "Its steps, in any order: references order them."),
        key(
            "node_variants",
            Shape::MapOf(&Shape::Section(&VARIANTS)),
            "Other versions of nodes that have `use_variants: true`, by node name.",
        ),
        key("tools", Shape::Anything, "Definitions of package tools; accepted for older flows."),
        key("environment", Shape::Anything, "How a cloud builds an image for the flow; not used here."),
        key(
            "environment_variables",
            Shape::MapOf(ANYTHING),
            "Variables for its tools: plain values, `${env:NAME}` or `${connection.key}`.",
        ),
        key(
            "additional_includes",
            Shape::ListOf(TEXT),
            "Files and folders from elsewhere that the flow sees as if they stood in its own folder.",
        ),
        key("message_format", Shape::Word(&FORMATS), "How images stand in inputs and outputs."),
    ],
};

/// `flow.flex.yaml`.
pub(crate) static FLEX: Section = Section {
    name: "the flex flow",
    keys: &[
        key("$schema", Shape::Text, "Where the schema of this file is; for editors."),
        key("id", Shape::Name, "An identifier; not used."),
        key("name", Shape::Name, "The flow's name; its folder's name if absent."),
        key("description", Shape::Text, "What the flow is for."),
        key("display_name", Shape::Name, "A name for people."),
        key("type", Shape::Name, "`standard`, `chat` or `evaluation`; it runs the same."),
        key("tags", Shape::Anything, "Labels of your own."),
        key("language", Shape::Name, "The language of the entry: `python`."),
        required("entry", Shape::Text, "The Python function, or the class with `__call__`: `module:name`."),
        key("code", Shape::Text, "The folder of its Python files, if not this one."),
        key(
            "inputs",
            Shape::MapOf(&Shape::Section(&FLEX_INPUT)),
            "What the function takes; its own signature says the rest.",
        ),
        key("outputs", Shape::MapOf(&Shape::Section(&FLEX_OUTPUT)), "What the function gives; for readers."),
        key(
            "init",
            Shape::MapOf(&Shape::Section(&INIT)),
            "What the class is made with; its own signature says the rest.",
        ),
        key(
            "sample",
            Shape::Anything,
            "What to use when nothing is given: `{inputs: {…}, init: {…}}`, or `${file:sample.json}`.",
        ),
        key("environment", Shape::Section(&ENVIRONMENT), "What Python must have installed."),
        key(
            "environment_variables",
            Shape::MapOf(ANYTHING),
            "Variables for its tools: plain values, `${env:NAME}` or `${connection.key}`.",
        ),
        key(
            "additional_includes",
            Shape::ListOf(TEXT),
            "Files and folders from elsewhere that the flow sees as if they stood in its own folder.",
        ),
        key("message_format", Shape::Word(&FORMATS), "Accepted, without effect: the function makes its own messages."),
    ],
};

static ENVIRONMENT: Section = Section {
    name: "an environment",
    keys: &[
        key("python_requirements_txt", Shape::Text, "The list of Python packages that the flow needs."),
        key("image", Shape::Anything, "The image of a cloud; not used here."),
    ],
};

static FLEX_INPUT: Section = Section {
    name: "an input",
    keys: &[
        required("type", Shape::Word(&TYPES), "What is given is made into this type, or refused."),
        key("default", Shape::Anything, "What it is when nothing is given; `null` and an empty text are no default."),
        key("description", Shape::Text, "What the input is for."),
        key("enum", Shape::ListOf(ANYTHING), "The values it is meant to have; not enforced."),
        key("is_chat_input", Shape::Boolean, "Whether it is what a person says in a chat."),
        key("is_chat_history", Shape::Boolean, "Whether it holds the turns of a chat before this one."),
    ],
};

static FLEX_OUTPUT: Section = Section {
    name: "an output",
    keys: &[
        key("type", Shape::Name, "What the output is; not enforced."),
        key("reference", Shape::Anything, "Accepted, without effect: outputs are what the function gives."),
        key("description", Shape::Text, "What the output is."),
        key("evaluation_only", Shape::Boolean, "Accepted, without effect."),
        key("is_chat_output", Shape::Boolean, "Whether it is the answer of a chat."),
    ],
};

/// Something that a flex flow's class is made with.
static INIT: Section = Section {
    name: "an entry of `init`",
    keys: &[
        required(
            "type",
            Shape::Name,
            "A type as inputs have it, the class of a connection (`AzureOpenAIConnection`), or of a model's configuration.",
        ),
        key("default", Shape::Anything, "What it is when nothing is given; `null` and an empty text are no default."),
        key("description", Shape::Text, "What it is for."),
        key("enum", Shape::ListOf(ANYTHING), "The values it is meant to have; not enforced."),
    ],
};

static INPUT: Section = Section {
    name: "an input",
    keys: &[
        required("type", Shape::Word(&TYPES), "What is given is made into this type, or refused."),
        key("default", Shape::Anything, "What the input is when nothing is given; `null` is no default."),
        key("description", Shape::Text, "What the input is for."),
        key("enum", Shape::ListOf(ANYTHING), "The values it is meant to have; not enforced."),
        key("is_chat_input", Shape::Boolean, "Whether it is what a person says in a chat."),
        key("is_chat_history", Shape::Boolean, "Whether it holds the turns of a chat before this one."),
    ],
};

static OUTPUT: Section = Section {
    name: "an output",
    keys: &[
        key("type", Shape::Word(&TYPES), "What the output is; not enforced."),
        required("reference", Shape::Anything, "Where it comes from, `${node.output}`, or a fixed value."),
        key("description", Shape::Text, "What the output is."),
        key("evaluation_only", Shape::Boolean, "Whether only evaluations want it; a served flow leaves it out."),
        key("is_chat_output", Shape::Boolean, "Whether it is the answer of a chat."),
    ],
};

/// A node, and the `node` of a variant.
pub(crate) static NODE: Section = Section {
    name: "a node",
    keys: &[
        key("name", Shape::Name, "How references call it: `${name.output}`."),
        key("type", Shape::Word(&KINDS), "What the node does."),
        key("source", Shape::Section(&SOURCE), "The file or package tool behind it."),
        key("inputs", Shape::MapOf(ANYTHING), "What it takes: references or fixed values, by name."),
        key("activate", Shape::Section(&ACTIVATE), "When it runs at all."),
        key("aggregation", Shape::Boolean, "Whether it runs once, over all lines of a batch."),
        key("reduce", Shape::Boolean, "The older word for `aggregation`."),
        key("use_variants", Shape::Boolean, "Whether the node is taken from `node_variants`."),
        key("comment", Shape::Text, "A note."),
        key("enable_cache", Shape::Boolean, "Accepted, without effect; see `cache`."),
        key("tool", Shape::Anything, "The tool's name in older flows."),
        key(
            "connection",
            Shape::Name,
            "The connection that an `llm` or `embedding` node asks; a config environment can replace it.",
        ),
        key(
            "api",
            Shape::Word(&APIS),
            "Which API an `llm` node asks: `chat` (by completions or responses, as its connection says), `responses`, or the older `completion`.",
        ),
        key("provider", Shape::Name, "Accepted, without effect: the connection says what it is."),
        key("module", Shape::Name, "Accepted, without effect."),
        key("expression", Shape::Text, "What an `expression` node computes from its inputs, as between `{{` and `}}`."),
        key("over", Shape::Anything, "The list that a `map` node goes through: a reference."),
        key("as", Shape::Name, "The input of a `map` node's flow that gets the item."),
        key("concurrency", Shape::Whole(1), "How many items of a `map` node run at once."),
        key("until", Shape::Text, "When a `loop` node stops: an expression over the round's outputs."),
        key("max_iterations", Shape::Whole(1), "The most rounds of a `loop` node."),
        key(
            "method",
            Shape::Text,
            "The method of an `http` node: `GET`, `POST`, …; `POST` if it has a body, else `GET`.",
        ),
        key("url", Shape::Text, "The address that an `http` node calls: a template over its inputs."),
        key("query", Shape::MapOf(ANYTHING), "What is added to the address's query: templates, by name."),
        key("headers", Shape::MapOf(NAME), "The headers of an `http` node's call: templates, by name."),
        key(
            "json",
            Shape::Anything,
            "The body of an `http` node's call as JSON; a text that is one `{{ expression }}` gives its native value.",
        ),
        key("body", Shape::Text, "The body of an `http` node's call as text: a template over its inputs."),
        key(
            "expect",
            Shape::Word(&EXPECTED),
            "Whether an `http` node fails at a status other than 2xx (`success`) or gives it (`any`).",
        ),
        key("redirects", Shape::Whole(0), "The most redirects that an `http` node follows."),
        key("max_size", Shape::Size, "The most bytes of an answer that an `http` node takes."),
        key(
            "on_filtered",
            Shape::Word(&FILTERED),
            "What becomes of an `llm` or `prompty` node that a content filter stops: it fails, or its output reports it.",
        ),
        key("developer_role", Shape::Boolean, "Whether `developer:` opens a message in the template of an `llm` node."),
        key("retry", Shape::Section(&RETRY), "How often the node is tried, beyond what its connection does by itself."),
        key("timeout", Shape::Duration, "How long one attempt may take."),
        key(
            "cache",
            Shape::Boolean,
            "Whether recorded replies may answer its model calls; without effect in this version.",
        ),
        key(
            "role_headers",
            Shape::Boolean,
            "Whether text that this node makes may open messages (`user:`) in an `llm` node.",
        ),
    ],
};

static SOURCE: Section = Section {
    name: "a source",
    keys: &[
        key("type", Shape::Word(&SOURCE_TYPES), "`code` (a file, the default), `package` or `package_with_prompt`."),
        key("path", Shape::Text, "The file, from the flow's folder."),
        key("tool", Shape::Text, "The package tool, as `package.module.function`."),
    ],
};

static ACTIVATE: Section = Section {
    name: "a condition",
    keys: &[
        key("when", Shape::Anything, "What is looked at: a reference."),
        key("is", Shape::Anything, "What it must equal."),
        key("if", Shape::Text, "An expression over `inputs.name` and `node.output`, in place of `when` and `is`."),
    ],
};

static RETRY: Section = Section {
    name: "a retry policy",
    keys: &[
        key("max_attempts", Shape::Whole(1), "Attempts in all, the first included."),
        key("initial", Shape::Duration, "The pause before the second attempt; it doubles for each further one."),
        key("max", Shape::Duration, "The longest pause."),
    ],
};

static VARIANTS: Section = Section {
    name: "the variants of a node",
    keys: &[
        key("default_variant_id", Shape::Name, "The variant that is used when none is chosen."),
        key("variants", Shape::MapOf(&Shape::Section(&VARIANT)), "The variants by id."),
    ],
};

static VARIANT: Section = Section {
    name: "a variant",
    keys: &[
        key("node", Shape::Section(&NODE), "The whole node, without its name."),
        key("description", Shape::Text, "What is different."),
    ],
};
