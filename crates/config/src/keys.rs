//! The keys that a settings file may have, table by table.

/// Keys at the top of a settings file.
pub(crate) const TOP_KEYS: &[&str] = &[
    "connections",
    "flow_configs",
    "prices",
    "telemetry",
    "store",
    "http",
    "python",
    "max_in_flight",
    "aoai_config",
    "aistudio_config",
    "deployment_configs",
];
/// Keys of a flow's section that mean something to sluicegate; any other reaches the flow.
pub(crate) const SECTION_KEYS: &[&str] = &[
    "flow_path",
    "connection_name",
    "deployment_name",
    "embedding_deployment_name",
    "data_path",
    "eval_data_path",
    "column_mapping",
    "max_in_flight",
    "telemetry",
    "store",
    "http",
    "python",
    "prices",
];

/// The keys of a connection by its type; `None` for a type that is not known.
pub(crate) fn of_connection(type_name: &str) -> Option<Vec<&'static str>> {
    let (own, shared): (&[&str], &[&str]) = match type_name {
        "azure_open_ai" => (AZURE_KEYS, NETWORK_KEYS),
        "open_ai" => (OPEN_AI_KEYS, NETWORK_KEYS),
        "serverless" => (SERVERLESS_KEYS, NETWORK_KEYS),
        "anthropic" => (ANTHROPIC_KEYS, NETWORK_KEYS),
        "simulated" => (SIMULATED_KEYS, &[]),
        "serp" => (&["api_key"], &[]),
        "cognitive_search" => (&["api_base", "api_key", "api_version", "auth", "auth_mode"], &[]),
        "azure_ai_services" => (&["endpoint", "api_key", "auth", "auth_mode"], &[]),
        "azure_content_safety" | "form_recognizer" => (&["endpoint", "api_key", "api_version", "api_type"], &[]),
        "qdrant" | "weaviate" => (&["api_base", "api_key"], &[]),
        "custom" => (CUSTOM_KEYS, &[]),
        _ => return None,
    };
    Some([own, shared, COMMON_CONNECTION_KEYS].concat())
}

const COMMON_CONNECTION_KEYS: &[&str] =
    &["type", "name", "max_in_flight", "requests_per_minute", "tokens_per_minute", "timeout", "retry"];
/// Keys of prompt flow's connection files that mean nothing here; whoever pastes one need not take them out.
pub(crate) const PASTED_KEYS: &[&str] = &["$schema", "module"];
/// Keys of every connection that goes over the network.
const NETWORK_KEYS: &[&str] =
    &["headers", "query", "auth_header", "path_prefix", "client_certificate", "ca_file", "deployments", "adapt"];
const AZURE_KEYS: &[&str] = &[
    "api_base",
    "azure_endpoint",
    "endpoint",
    "api_key",
    "api_version",
    "api_type",
    "api",
    "auth",
    "auth_mode",
    "resource_id",
];
const OPEN_AI_KEYS: &[&str] = &["base_url", "api_base", "endpoint", "api_key", "organization", "api"];
const SERVERLESS_KEYS: &[&str] =
    &["endpoint", "api_base", "base_url", "api_key", "api_version", "auth", "auth_mode", "extra_parameters"];
const ANTHROPIC_KEYS: &[&str] = &["base_url", "api_base", "endpoint", "api_key", "version"];
const SIMULATED_KEYS: &[&str] = &["script"];
const CUSTOM_KEYS: &[&str] = &["configs", "secrets", "custom_type", "module", "package", "package_version"];
/// Keys of the long form of `auth`.
pub(crate) const AUTH_KEYS: &[&str] =
    &["type", "scope", "cloud", "authority", "sources", "tenant_id", "client_id", "client_secret", "token"];
pub(crate) const CLIENT_CERTIFICATE_KEYS: &[&str] = &["certificate", "key"];
/// Keys of what is known of a deployment.
pub(crate) const DEPLOYMENT_KEYS: &[&str] = &["reasoning", "rename", "drop"];
pub(crate) const TIMEOUT_KEYS: &[&str] = &["connect", "first_byte", "total"];
pub(crate) const RETRY_KEYS: &[&str] = &["max_attempts", "initial", "max"];
pub(crate) const STORE_KEYS: &[&str] = &["durability", "path"];
pub(crate) const HTTP_KEYS: &[&str] = &["allow_hosts", "allow_private", "redirects", "max_size", "timeout"];
pub(crate) const PYTHON_KEYS: &[&str] = &["interpreter", "prefer_installed", "workers", "start_timeout"];
pub(crate) const AOAI_KEYS: &[&str] = &["aoai_api_base", "aoai_api_type", "aoai_api_version", "aoai_api_key"];
pub(crate) const AI_STUDIO_KEYS: &[&str] = &["subscription_id", "resource_group_name", "project_name"];
/// Keys of an older file's `deployment_configs`.
pub(crate) const DEPLOYED_KEYS: &[&str] = &[
    "endpoint_name",
    "endpoint_desc",
    "deployment_desc",
    "deployment_name",
    "deployment_traffic_allocation",
    "deployment_vm_size",
    "deployment_instance_count",
    "deployment_base_image_name",
    "app_insight",
    "environment_variables",
];
pub(crate) const TELEMETRY_KEYS: &[&str] = &[
    "endpoint",
    "traces_endpoint",
    "headers",
    "service_name",
    "sampler",
    "sampler_argument",
    "capture_content",
    "disabled",
];
