//! A hosted partition: its log, its leadership and who waits on it.
