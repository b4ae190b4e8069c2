//! The four codecs of the record batch, framed as Kafka's clients frame them. No I/O.
