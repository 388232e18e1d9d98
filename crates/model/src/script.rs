//! The scripted model's engine: a request in, a reply (or a fault) and a delay out. No clock, no network.
