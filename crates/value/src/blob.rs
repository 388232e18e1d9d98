//! What is no JSON: bytes, and objects that live elsewhere.

use std::sync::Arc;

use crate::Value;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use crate::hash::{hex, sha256};

/// Bytes with a media type, told by their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// The media type, such as `image/png`.
    pub mime: Arc<str>,
    /// SHA-256 of the bytes (of the address, for [`BlobSource::Url`]) in lower-case hex.
    pub hash: Arc<str>,
    /// How many bytes; 0 for [`BlobSource::Url`], whose bytes nobody has fetched.
    pub len: u64,
    /// Where the bytes are.
    pub source: BlobSource,
}

/// Where a [`Blob`]'s bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobSource {
    /// Here.
    Bytes(Arc<[u8]>),
    /// At an address that the model's endpoint fetches itself.
    Url(Arc<str>),
    /// In the run's store, under the hash.
    Stored,
}

/// An object that lives in a Python worker: any type, known here by name and preview only.
#[derive(Clone, Debug, PartialEq)]
pub struct Handle {
    /// Which worker holds it.
    pub worker: Arc<str>,
    /// Its number in that worker.
    pub id: u64,
    /// The name of its Python type.
    pub type_name: Arc<str>,
    /// What `str()` says of it, as far as 64 KiB: what a template prints.
    pub preview: String,
    /// What a flow's output makes of it, as a tuple becomes a list; `None`: it cannot be an output.
    pub json: Option<Value>,
}

impl Blob {
    /// A blob of bytes that are here.
    #[must_use]
    pub fn from_bytes(mime: impl Into<Arc<str>>, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            mime: mime.into(),
            hash: sha256(&bytes).into(),
            len: bytes.len() as u64,
            source: BlobSource::Bytes(bytes),
        }
    }

    /// A blob whose bytes are at an address.
    #[must_use]
    pub fn from_url(mime: impl Into<Arc<str>>, url: impl Into<Arc<str>>) -> Self {
        let url = url.into();
        Self { mime: mime.into(), hash: sha256(url.as_bytes()).into(), len: 0, source: BlobSource::Url(url) }
    }

    /// A blob from base64 text.
    ///
    /// # Errors
    /// Text that is not base64 (line breaks are allowed).
    pub fn from_base64(mime: impl Into<Arc<str>>, text: &str) -> Result<Self, base64::DecodeError> {
        let compact: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        Ok(Self::from_bytes(mime, STANDARD.decode(compact)?))
    }

    /// The bytes as base64; `None` if they are not here.
    #[must_use]
    pub fn to_base64(&self) -> Option<String> {
        match &self.source {
            BlobSource::Bytes(bytes) => Some(STANDARD.encode(bytes)),
            _ => None,
        }
    }

    /// What an endpoint reads: the address, or `data:image/png;base64,…`; `None` if the bytes are in a store.
    #[must_use]
    pub fn to_data_url(&self) -> Option<String> {
        match &self.source {
            BlobSource::Url(url) => Some(url.to_string()),
            _ => Some(format!("data:{};base64,{}", self.mime, self.to_base64()?)),
        }
    }

    /// How prompt flow prints an image: `Image(` + the first 8 hex digits of the bytes' SHA-1 + `)`
    /// (spec: promptflow.md §1.9).
    #[must_use]
    pub fn python_str(&self) -> String {
        let digest = match &self.source {
            BlobSource::Bytes(bytes) => hex(&Sha1::digest(bytes)),
            BlobSource::Url(url) => hex(&Sha1::digest(url.as_bytes())),
            BlobSource::Stored => self.hash.to_string(),
        };
        format!("Image({})", &digest[..8.min(digest.len())])
    }
}
