//! The names of attributes and events, in one table that imports no SDK.
//!
//! `gen_ai.*` are those of OpenTelemetry's GenAI conventions (still marked "development": this table is where a
//! renaming is followed); `openinference.*`, `input.*`, `output.*` and `llm.cost.*` are OpenInference's;
//! `sluicegate.*` are ours.

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
    };
}

names! {
    /// `chat`, `text_completion`, `embeddings`, `invoke_workflow`.
    OPERATION_NAME = "gen_ai.operation.name";
    /// The kind of service, such as `openai` or `azure.ai.openai`.
    PROVIDER_NAME = "gen_ai.provider.name";
    /// The flow's name.
    WORKFLOW_NAME = "gen_ai.workflow.name";
    /// Model or deployment asked for.
    REQUEST_MODEL = "gen_ai.request.model";
    /// Temperature asked for.
    REQUEST_TEMPERATURE = "gen_ai.request.temperature";
    /// Nucleus asked for.
    REQUEST_TOP_P = "gen_ai.request.top_p";
    /// Most tokens of a reply.
    REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens";
    /// Seed asked for.
    REQUEST_SEED = "gen_ai.request.seed";
    /// Texts that end the reply.
    REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences";
    /// Frequency penalty asked for.
    REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty";
    /// Presence penalty asked for.
    REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty";
    /// How many choices were asked for, if not one.
    REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count";
    /// Whether the reply was asked for in pieces.
    REQUEST_STREAM = "gen_ai.request.stream";
    /// How the vectors were asked to be written.
    REQUEST_ENCODING_FORMATS = "gen_ai.request.encoding_formats";
    /// How many numbers a vector has.
    EMBEDDINGS_DIMENSION_COUNT = "gen_ai.embeddings.dimension.count";
    /// `text` or `json`.
    OUTPUT_TYPE = "gen_ai.output.type";
    /// The reply's id.
    RESPONSE_ID = "gen_ai.response.id";
    /// The model that answered.
    RESPONSE_MODEL = "gen_ai.response.model";
    /// Why each choice ended.
    RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons";
    /// Seconds from sending to the first piece of a streamed reply.
    RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk";
    /// Tokens of the request.
    USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens";
    /// Tokens of the reply.
    USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens";
    /// Tokens of the request that the endpoint had cached.
    USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens";
    /// Tokens of the reply spent on reasoning.
    USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens";
    /// What the model read (content).
    INPUT_MESSAGES = "gen_ai.input.messages";
    /// What it said (content).
    OUTPUT_MESSAGES = "gen_ai.output.messages";
    /// The tools that it could call (content).
    TOOL_DEFINITIONS = "gen_ai.tool.definitions";

    /// The event of one score of a case.
    EVALUATION_RESULT = "gen_ai.evaluation.result";
    /// The metric.
    EVALUATION_NAME = "gen_ai.evaluation.name";
    /// The score; absent if there is none.
    EVALUATION_SCORE_VALUE = "gen_ai.evaluation.score.value";
    /// `pass` or `fail`, where the evaluator has a threshold or says yes or no.
    EVALUATION_SCORE_LABEL = "gen_ai.evaluation.score.label";
    /// Why, in the evaluator's words (content).
    EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation";

    /// `GET`, `POST`, …
    HTTP_REQUEST_METHOD = "http.request.method";
    /// The status of the answer.
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
    /// Bytes of the answer's body.
    HTTP_RESPONSE_BODY_SIZE = "http.response.body.size";
    /// The address, without user, password, query and fragment.
    URL_FULL = "url.full";
    /// The endpoint's host.
    SERVER_ADDRESS = "server.address";
    /// The endpoint's port.
    SERVER_PORT = "server.port";
    /// A failure's code.
    ERROR_TYPE = "error.type";
    /// The event of a failure.
    EXCEPTION = "exception";
    /// A failure's code, in its event.
    EXCEPTION_TYPE = "exception.type";
    /// A failure's message, in its event.
    EXCEPTION_MESSAGE = "exception.message";

    /// `CHAIN`, `LLM`, `PROMPT`, `TOOL`, `EMBEDDING`, `EVALUATOR`.
    SPAN_KIND = "openinference.span.kind";
    /// What went in (content).
    INPUT_VALUE = "input.value";
    /// Its media type.
    INPUT_MIME_TYPE = "input.mime_type";
    /// What came out (content).
    OUTPUT_VALUE = "output.value";
    /// Its media type.
    OUTPUT_MIME_TYPE = "output.mime_type";
    /// The embedding model.
    EMBEDDING_MODEL_NAME = "embedding.model_name";
    /// US dollars.
    COST_TOTAL = "llm.cost.total";

    /// The run.
    RUN_ID = "sluicegate.run.id";
    /// How the run ended.
    RUN_STATUS = "sluicegate.run.status";
    /// The evaluation that scored a case.
    EVALUATION_ID = "sluicegate.evaluation.id";
    /// The case's key.
    CASE_KEY = "sluicegate.case.key";
    /// Which of the judge's readings a score is of, from 0.
    JUDGE_REPEAT = "sluicegate.judge.repeat";
    /// The environment (`pr`, `dev`, `prod`).
    ENVIRONMENT = "sluicegate.environment";
    /// Calls that were made again after a crash.
    REPEATED_CALLS = "sluicegate.run.repeated_calls";
    /// Nodes that ran again since what was recorded of them could not be gone on with.
    REPEATED_NODES = "sluicegate.run.repeated_nodes";
    /// Tokens of a whole run's requests: not `gen_ai.usage.*`, which viewers add up over spans.
    RUN_INPUT_TOKENS = "sluicegate.run.input_tokens";
    /// Tokens of a whole run's replies.
    RUN_OUTPUT_TOKENS = "sluicegate.run.output_tokens";
    /// US dollars of a whole run.
    RUN_COST = "sluicegate.run.cost";
    /// The line of a batch.
    LINE = "sluicegate.line";
    /// How a line ended: `completed`, `failed`, `cancelled`. `sluicegate.line` is a name itself, so that none can follow it
    /// after a dot: stores that read dots as nesting could not hold both.
    LINE_STATUS = "sluicegate.line_status";
    /// The path of the node that made the line fail.
    LINE_FAILED_NODE = "sluicegate.line_failed_node";
    /// Tokens of a whole line's requests: like a run's, not `gen_ai.usage.*`.
    LINE_INPUT_TOKENS = "sluicegate.line_input_tokens";
    /// Tokens of a whole line's replies.
    LINE_OUTPUT_TOKENS = "sluicegate.line_output_tokens";
    /// US dollars of a whole line.
    LINE_COST = "sluicegate.line_cost";
    /// Calls of a line that were made again after a crash.
    LINE_REPEATED_CALLS = "sluicegate.line_repeated_calls";
    /// Nodes of a line that ran again since what was recorded of them could not be gone on with.
    LINE_REPEATED_NODES = "sluicegate.line_repeated_nodes";
    /// How many lines a batch has.
    LINES_TOTAL = "sluicegate.lines.total";
    /// How many of them have all outputs.
    LINES_COMPLETED = "sluicegate.lines.completed";
    /// How many of them failed.
    LINES_FAILED = "sluicegate.lines.failed";
    /// The repeat of a case.
    REPEAT = "sluicegate.repeat";
    /// A node's kind.
    NODE_KIND = "sluicegate.node.kind";
    /// A node's path.
    NODE_PATH = "sluicegate.node.path";
    /// How often a node was tried.
    NODE_ATTEMPTS = "sluicegate.node.attempts";
    /// What came of a node.
    NODE_OUTCOME = "sluicegate.node.outcome";
    /// Whether a node was bypassed.
    NODE_BYPASSED = "sluicegate.node.bypassed";
    /// The type of a span that a node's own code made, in prompt flow's words.
    CODE_SPAN_TYPE = "sluicegate.code.span_type";
    /// The connection's name.
    CONNECTION = "sluicegate.connection";
    /// How often a call was tried.
    CALL_ATTEMPTS = "sluicegate.call.attempts";
    /// The event of an attempt that failed and is followed by another.
    RETRY = "sluicegate.retry";
    /// Which attempt failed.
    RETRY_ATTEMPT = "sluicegate.retry.attempt";
    /// The pause before the next, in milliseconds.
    RETRY_IN_MS = "sluicegate.retry.in_ms";

    /// The event of a parameter that the endpoint refused, so that it was sent by another name or not at all.
    ADAPTATION = "sluicegate.adaptation";
    /// The parameter as the request had it.
    ADAPTATION_PARAMETER = "sluicegate.adaptation.parameter";
    /// The name that it was sent by; absent if it was not sent.
    ADAPTATION_RENAMED_TO = "sluicegate.adaptation.renamed_to";
    /// The value that was refused, as JSON (content); absent if it was the parameter.
    ADAPTATION_VALUE = "sluicegate.adaptation.value";
    /// The endpoint's own words (content).
    ADAPTATION_MESSAGE = "sluicegate.adaptation.message";
    /// What a content filter did: `input`, `output`, `unchecked`, `noted`.
    FILTER_STATE = "sluicegate.filter.state";
    /// What it found: `hate`, `jailbreak`, …
    FILTER_CATEGORIES = "sluicegate.filter.categories";

    /// The program, in the resource.
    SERVICE_NAME = "service.name";
    /// Its version, in the resource.
    SERVICE_VERSION = "service.version";
}

/// Whether an attribute is one of ours to set: an author's code cannot.
pub(crate) fn is_ours(name: &str) -> bool {
    ["sluicegate.", "gen_ai.", "openinference.", "input.", "output.", "error.", "llm."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
