//! Layers of settings become one environment.
//!
//! [`Project::find`] finds `config/config.yaml`, [`Variables`] holds what the process and `.env` say, and
//! [`Settings::load`] lays them over one another. [`Settings::environment`] then answers what holds for one flow in one
//! config environment, as an [`Environment`]. Every value knows who set it ([`Origin`]).
//!
//! Files are parsed first; `${NAME}` is looked up afterwards, in single texts, when they are asked for. So a secret may
//! contain any character, and a connection that nobody uses may lack its variables.
//!
//! Nothing here reads the process environment, opens a connection or prints.

mod address;
mod aliases;
mod check;
mod connection;
mod connection_file;
mod dot_env;
mod environment;
mod facts;
mod http_policy;
pub mod import;
mod interpolate;
mod keys;
mod layers;
mod origin;
mod prices;
mod project;
mod proxies;
mod python;
mod reader;
mod redactor;
mod secret;
mod sections;
mod setting;
mod settings;
mod show;
mod store;
mod telemetry;
pub mod variables;

pub use connection::{
    Auth, AuthHeader, AzureApi, ClientCertificate, Connection, ConnectionKind, Deployment, Deployments, Entra,
    ExtraParameters, Gateway, Limits, Retry, Timeouts, TokenSource,
};
pub use environment::Environment;
pub use facts::ConnectionFacts;
pub use http_policy::HttpPolicy;
pub use origin::Origin;
pub use prices::{ModelPrice, PRICES_AS_OF};
pub use project::Project;
pub use proxies::Proxies;
pub use python::PythonSettings;
pub use redactor::{MASK, Redactor};
pub use secret::Secret;
pub use setting::Setting;
pub use settings::{Override, Settings};
pub use show::{Entry, entries_to_value};
pub use store::{Durability, Store};
pub use telemetry::Telemetry;
pub use variables::{Variable, Variables};
