//! What people and machines read of a receipt. Each module makes one text from it and reads nothing else.
//!
//! Outputs, reasons and inputs in a receipt were written by models and by strangers. No projection prints them but
//! through [`text`], which makes what does not belong there visible and shortens what is long; each then escapes by the
//! rules of its own format.

pub mod annotations;
mod color;
pub mod comment;
mod diff;
pub mod explanation;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod matrix;
mod numbers;
pub mod output;
mod plot;
pub mod sarif;
pub mod summary;
pub mod terminal;
pub mod text;
mod xml;
