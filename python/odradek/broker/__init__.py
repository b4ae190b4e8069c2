"""The broker's decisions. `server.py` puts it together, `handlers/` answers one API a file; bytes are Rust's work."""
