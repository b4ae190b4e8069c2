//! The record format's variable-length integers, and a bounds-checked cursor over borrowed bytes.
